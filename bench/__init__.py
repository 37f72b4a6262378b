"""Benchmarks: `python -m bench.train`, `bench.evaluate`, `bench.curve`; the others serve them."""
