"""How the shipped weights are made: arrays in, state and held-out figures out. Reads no files."""
