"""Nothing accepted is lost and everything is visible exactly once, under real faults: `python -m tests.faults`."""
