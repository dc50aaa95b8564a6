"""fastlstm beside torch: how fast, at what memory, and only where both give the same numbers.

`shapes.toml` says what is measured, `sides.py` builds each side, `check.py` compares them,
`ab.py` times them in separate processes and `test_*.py` under pytest-benchmark. See README.md.
"""

from benchmarks.source_tree import prefer_what_is_built

prefer_what_is_built()
