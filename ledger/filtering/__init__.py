"""Which logs are meant: the JSON filter of lists, updates and deletions, and the search language of `q=`, as SQL.

Read `tree` (what is asked, as values), then `filter_text` (JSON → tree) or `query_text` (q= → tree, by the table in
`query_fields`), then `filters` (tree → one condition with bound values). `texts` says how words are found in bodies.
"""
