-- How far each partition of the bus has become rows or dead letters: everything up to this offset can be read.
CREATE TABLE bus_progress
(
    generation UInt8,
    partition  UInt16,
    offset     UInt64                                    -- the last one that is settled; the highest counts
)
ENGINE = ReplacingMergeTree(offset)
ORDER BY (generation, partition)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480;
