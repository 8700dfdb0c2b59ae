-- The heavy columns of each row, same key and version: read for one page or one request only.
CREATE TABLE request_bodies
(
    project          LowCardinality(String),
    created_at       DateTime64(3, 'UTC'),
    id               UInt128,
    version          UInt64,
    is_deleted       UInt8,
    prompt           Nullable(String) CODEC(ZSTD(1)),
    completion       Nullable(String) CODEC(ZSTD(1)),
    raw_request      Nullable(String) CODEC(ZSTD(1)),
    raw_response     Nullable(String) CODEC(ZSTD(1)),
    raw_stream       Nullable(String) CODEC(ZSTD(1)),
    media            Nullable(String) CODEC(ZSTD(1)),
    extra            Nullable(String) CODEC(ZSTD(1)),
    request_headers  Nullable(String) CODEC(ZSTD(1)),
    response_headers Nullable(String) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(created_at)
ORDER BY (project, created_at, id)
SETTINGS index_granularity = 1024,                      -- a list reads single bodies from all over
         non_replicated_deduplication_window = 10000,
         fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480,
         deduplicate_merge_projection_mode = 'rebuild', ttl_only_drop_parts = 1;
