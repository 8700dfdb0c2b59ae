"""Exact counts and statistics at volume: sums of aggregates over units of time, of which most come from a cache.

Read `aggregates` (one question from top to bottom), then `units` (how a range is cut), `parts` (when a stored aggregate
may be used again), `measures` (what is measured) and `partials` (how aggregates are added).
"""
