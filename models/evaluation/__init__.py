"""Judging models on any folder of records in a known format: one file a model, and the figures common to all.

Nothing is fitted here. A probability is the model's as the live pipeline would publish it.
"""
