-- Where an id came from an idempotency key: the first stored attempt fixes created_at and the body's hash.
CREATE TABLE request_keys
(
    project    LowCardinality(String),
    id         UInt128,
    generation UInt8,
    offset     UInt64,
    partition  UInt16,
    created_at DateTime64(3, 'UTC'),
    body_hash  String
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(created_at)
ORDER BY (project, id, generation, offset, partition)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 10000,
         fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480;
