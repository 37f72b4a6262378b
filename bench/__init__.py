"""Benchmarks: one module each (`python -m bench.<name>`), ratios on the last line."""
