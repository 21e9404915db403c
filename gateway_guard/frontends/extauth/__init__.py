"""External authorisation: a gateway asks whether it may forward, and keeps the traffic itself."""
