"""The live tail: calls as they become readable, over server-sent events.

Read `following` (what one stream does), then `windows` (which rows are new) and `positions` (how a stream is resumed).
"""
