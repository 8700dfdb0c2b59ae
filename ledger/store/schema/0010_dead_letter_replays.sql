-- Which dead letters were put on the bus again: the death that it answers, and the place of the copy.
CREATE TABLE dead_letter_replays
(
    generation    UInt8,
    partition     UInt16,
    offset        UInt64,
    replays       UInt32,                                -- of the dead letter that was replayed
    replayed_at   DateTime64(3, 'UTC'),
    to_generation UInt8,
    to_partition  UInt16,
    to_offset     UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (generation, partition, offset, replays)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480;
