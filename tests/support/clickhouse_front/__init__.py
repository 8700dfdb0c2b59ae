"""ClickHouse's HTTP interface over chDB, as a process of its own, for tests of the path over HTTP and for trying out.

It speaks as much of the interface as clickhouse-connect uses, and refuses what it cannot do instead of leaving it out.

How it differs from a server: every statement has its own engine handle, so a session (`session_id` is accepted) keeps
neither `SET` nor temporary tables. The engine names its queries itself, so `KILL QUERY` finds none by the client's id,
and a client that hangs up does not stop its query. An answer is complete before its first byte is sent. Native without
rows has no column names. Every error is status 500. Anybody may do anything.
"""
