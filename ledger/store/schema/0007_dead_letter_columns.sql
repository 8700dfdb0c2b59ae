-- Whose it is, what it is and how often it has died. Each death of a record is a row: that with the most replays counts.
ALTER TABLE dead_letters
    ADD COLUMN IF NOT EXISTS project       LowCardinality(String)
        DEFAULT if(position(ifNull(key, ''), '/') > 0, substringIndex(ifNull(key, ''), '/', 1), ''),
    ADD COLUMN IF NOT EXISTS record_id     String,                  -- '' where the envelope cannot be read
    ADD COLUMN IF NOT EXISTS event_id      String,
    ADD COLUMN IF NOT EXISTS kind          LowCardinality(String),
    ADD COLUMN IF NOT EXISTS topic         LowCardinality(String),  -- the bus that it was read from
    ADD COLUMN IF NOT EXISTS error_class   LowCardinality(String),
    ADD COLUMN IF NOT EXISTS first_dead_at DateTime64(3, 'UTC') DEFAULT dead_at,
    ADD COLUMN IF NOT EXISTS size          UInt64 DEFAULT length(ifNull(body, '')),
    ADD COLUMN IF NOT EXISTS replays       UInt32,                  -- how often it was replayed before it died so
    MODIFY ORDER BY (generation, partition, offset, replays);
