"""Filters: the one closed language in which lists, updates and deletions say which logs they mean, compiled to SQL.

Read `filter_text` (JSON → rules), then `filters` (rules → one condition with bound values).
"""
