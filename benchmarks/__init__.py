"""Speed and accuracy, side by side with peers and over commits.

`python -m benchmarks.peers` measures isletsim beside other simulators, `python -m benchmarks.compare` holds one such
measurement against another, `python -m benchmarks.history` draws all that are stored, and `asv run` follows the suites
`bench_*.py` over commits.
"""
