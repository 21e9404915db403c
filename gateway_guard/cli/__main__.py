"""`python -m gateway_guard.cli` is `gateway-guard`."""

from gateway_guard.cli import main

if __name__ == "__main__":
    main()
