-- How far the bytes of each deletion are gone. What was deleted, and whose it was, is not repeated here.
CREATE TABLE request_erasures
(
    project             LowCardinality(String),
    event_id            UInt128,                         -- of the deletion
    written_at          DateTime64(3, 'UTC'),            -- the latest entry counts
    begun_at            DateTime64(3, 'UTC'),            -- when it was first seen to be applied everywhere
    records             UInt64,                          -- it had taken so many then; more of them begin it anew
    rewritten_at        Nullable(DateTime64(3, 'UTC')),  -- the engine's clock: no part made since holds the bytes
    blobs_done          Bool,
    blobs_until         Nullable(DateTime64(3, 'UTC')),  -- a blob that nothing names any more is too young until then
    erased_at           Nullable(DateTime64(3, 'UTC')),  -- nothing on disk holds the bytes
    old_parts           UInt64,                          -- replaced parts that lay on disk when this was written
    dead_letters        UInt64,                          -- erased with it so far
    unread_dead_letters UInt64,                          -- kept: nobody can say whose they are
    blobs               UInt64                           -- erased with it so far
)
ENGINE = ReplacingMergeTree(written_at)
ORDER BY (project, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480;
