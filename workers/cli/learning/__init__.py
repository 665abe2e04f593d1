"""What `wardstream learn` reads: which answers count, and what they were about."""
