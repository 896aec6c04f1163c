"""How fast and how light the program is, as ratios of two sides measured in one run.

`python -m benchmarks --quick`. The two sides take turns (A, B, A, B ...), so that whatever else the
machine does falls on both; pyperf and hyperfine measure one side after the other.
"""
