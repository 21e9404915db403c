"""One target a file: `target(data)` raises only where a property is broken."""
