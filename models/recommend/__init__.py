"""Recommenders: what is learned from histories and features, and the ranker that keeps it under the rules."""
