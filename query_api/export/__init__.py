"""The rows of a filter as a file: CSV, NDJSON, Parquet or an Arrow stream, in pieces that fit into memory."""
