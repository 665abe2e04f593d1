"""Clinical rules over whole batches: scores, three-valued predicates, the care-action catalogue.

The rules stand beside every learned model and depend on none of them. They know arrays and published tables, and
neither patients, events nor clocks.
"""
