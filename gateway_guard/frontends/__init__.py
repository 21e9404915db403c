"""Wire ↔ types. Frontends translate and judge nothing."""
