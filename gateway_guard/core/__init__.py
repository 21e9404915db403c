"""Pure: no await, clock, randomness, file or logger. What a decision is made of."""
