"""Account → attributes, and the keys that verify who an account is."""
