"""`python -m gateway_guard` is `gateway-guard`."""

from gateway_guard.cli import main

if __name__ == "__main__":
    main()
