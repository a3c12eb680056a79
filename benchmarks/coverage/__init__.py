"""Which networks can be captured, and whether what is captured is right: ``python -m benchmarks coverage``."""
