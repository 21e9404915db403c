"""Whether the tests would notice: small changes to the code, each of which some test must see."""
