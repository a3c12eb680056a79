"""The measurements behind docs/benchmarks.md: two things timed in turn in one run, and their ratio."""
