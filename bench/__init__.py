"""Benchmarks: what a token costs, and what a crash may not cost. ``bench/run`` sets up what they need and runs them."""
