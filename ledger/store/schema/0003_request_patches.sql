-- Every update event of an id, effective or not: what a fold is made from. Kept as long as the row.
CREATE TABLE request_patches
(
    project       LowCardinality(String),
    id            UInt128,
    generation    UInt8,
    offset        UInt64,
    partition     UInt16,
    event_id      UInt128,
    kind          LowCardinality(String),
    accepted_at   DateTime64(3, 'UTC'),
    price_version LowCardinality(String),
    body_hash     String,
    body          String CODEC(ZSTD(1)),
    voidings      UInt16                                 -- odd: its row was refused; the highest count wins
)
ENGINE = ReplacingMergeTree(voidings)
PARTITION BY toYYYYMM(accepted_at)
ORDER BY (project, id, generation, offset, partition)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 10000,
         fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480;
