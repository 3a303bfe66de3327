"""Who should own a lead. Pure: no I/O, no clock, no randomness."""
