-- A month that has got nothing new for a day becomes one part, in which every row stands once: cheap to count and to list.
ALTER TABLE request_logs
    MODIFY SETTING min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1
