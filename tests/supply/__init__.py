"""What the package is made of, and whether anything of that is known to be broken."""
