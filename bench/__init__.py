"""Measurements of wardstream on one machine: throughput, cost by stage, latency, memory.

Run from the repository: `python -m bench` or `make bench`. What each section measures, and what it does not, is in
docs/bench.md.
"""
