"""`python -m tests.bench.peers`: the same calls into other ledgers and into ours, counted once they can be queried."""
