"""Pure, vectorised health scoring: arrays in, arrays out, no I/O and no clock."""
