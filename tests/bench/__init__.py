"""Measurements to run by hand; ``docs/benchmarks.md`` has their figures."""
