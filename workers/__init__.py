"""The running system: consumes, batches, infers, caches, decides, publishes. The only package that does I/O."""

__version__ = "0.1.0"
