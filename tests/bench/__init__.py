"""`python -m tests.bench`: what the product does beside what its parts can do, both measured in the same run."""
