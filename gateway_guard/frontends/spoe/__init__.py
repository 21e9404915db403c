"""HAProxy's stream processing offload (SPOE): it sends a request's head and body, and asks."""
