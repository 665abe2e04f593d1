"""What goes with a model's weights for people: what it is, where it came from, what it is not for.

`about` holds what all models share, one file a model what only its owner knows, `card` the two forms (Markdown and
JSON). Every figure comes from the manifest that the same training run wrote.
"""
