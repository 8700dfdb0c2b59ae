-- Dead letters that a deletion took: their records may still lie on the bus, and must not die again when they are read.
CREATE TABLE erased_dead_letters
(
    generation UInt8,
    partition  UInt16,
    offset     UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (generation, partition, offset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480;
