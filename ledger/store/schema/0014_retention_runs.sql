-- The deletions for age, a row per run: how far it came, what it has deleted, and from when on it left everything.
CREATE TABLE retention_runs
(
    begun_at    DateTime64(3, 'UTC'),
    written_at  DateTime64(3, 'UTC'),                    -- the latest entry of a run counts
    finished_at Nullable(DateTime64(3, 'UTC')),
    cut_before  Nullable(DateTime64(3, 'UTC')),          -- nothing older is kept or shown again: the disk cap
    parts       UInt64,                                  -- dropped as a whole
    rows        UInt64,                                  -- deleted, in all tables and versions
    blobs       UInt64,
    blobs_owed  Array(String),                           -- projects whose media that nothing names are still to go
    error       String                                   -- why it could not go on
)
ENGINE = ReplacingMergeTree(written_at)
ORDER BY begun_at
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480;
