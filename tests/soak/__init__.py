"""Load, reloads, faults and kills, all at once for ten minutes, and each decision checked."""
