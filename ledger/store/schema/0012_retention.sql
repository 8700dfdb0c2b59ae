-- How long the calls of a project are kept; project '*' is the default. The latest entry of a project counts.
CREATE TABLE retention
(
    project LowCardinality(String),
    set_at  DateTime64(3, 'UTC'),
    set_by  String,                                      -- the id of the key
    is_set  Bool,                                        -- false: the project follows the default again
    days    Nullable(UInt32)                             -- null: for ever
)
ENGINE = ReplacingMergeTree(set_at)
ORDER BY project
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480;
