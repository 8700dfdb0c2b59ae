-- What was deleted, by which event, and up to where: a row per partition that the event went to. Outlives the records.
CREATE TABLE request_deletions
(
    project     LowCardinality(String),
    event_id    UInt128,
    generation  UInt8,
    partition   UInt16,
    offset      UInt64,
    scope       LowCardinality(String),                  -- id, user, filter
    what        String,                                  -- the id, the user's id, the filter's JSON
    accepted_at DateTime64(3, 'UTC'),
    found       UInt64,                                  -- records that were deleted in this partition
    applied     UInt8,                                   -- 1: everything accepted before it was judged
    partitions  UInt16,                                  -- that the event went to; by id 1
    version     UInt64                                   -- from applied and found; the highest counts
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project, event_id, generation, partition, offset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480;
