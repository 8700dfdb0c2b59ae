-- What could not become a row: its original bytes and why. The dead letters of the standalone mode.
CREATE TABLE dead_letters
(
    generation   UInt8,
    partition    UInt16,
    offset       UInt64,
    key          Nullable(String),
    envelope     Nullable(String),
    body         Nullable(String) CODEC(ZSTD(1)),
    headers      String,                                 -- JSON: list of [name, value in base64]
    reason       LowCardinality(String),
    detail       String,
    code_version LowCardinality(String),
    dead_at      DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (generation, partition, offset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480;
