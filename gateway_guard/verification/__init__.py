"""How an account meets a challenge: a link, a visitor, a check or a provider, and a register."""
