-- One row per record: the fold of all accepted events of its id. The highest version of a key is the row.
CREATE TABLE request_logs
(
    project               LowCardinality(String),
    created_at            DateTime64(3, 'UTC'),          -- fixed at acceptance
    id                    UInt128,                       -- a UUID; never type UUID, which does not sort by time
    version               UInt64,                        -- generation (8 bits), highest offset (40), count of events (16)
    is_deleted            UInt8,
    source                LowCardinality(String),
    ingested_at           DateTime64(3, 'UTC'),
    updated_at            DateTime64(3, 'UTC'),
    requested_at          DateTime64(3, 'UTC'),
    received_at           Nullable(DateTime64(3, 'UTC')),
    duration_ms           Nullable(Float64),
    ttft_ms               Nullable(Int64),
    provider              LowCardinality(String),        -- '' in a text column without Nullable: unknown
    model_requested       LowCardinality(String),
    model_served          LowCardinality(String),
    status_code           Nullable(Int32),
    is_error              Bool,
    error                 Nullable(String),
    streamed              Bool,
    cached                Bool,
    finish_reason         LowCardinality(String),
    service_tier          LowCardinality(String),
    provider_response_id  String,
    user_id               String,
    session_id            String,
    trace_id              String,
    environment           LowCardinality(String),
    description           Nullable(String),
    metadata_keys         Array(LowCardinality(String)),
    metadata_values       Array(String),
    input_tokens          Nullable(Int64),
    output_tokens         Nullable(Int64),
    total_tokens          Nullable(Int64),
    cache_read_tokens     Nullable(Int64),
    cache_write_tokens    Nullable(Int64),
    cache_write_5m_tokens Nullable(Int64),
    cache_write_1h_tokens Nullable(Int64),
    reasoning_tokens      Nullable(Int64),
    audio_input_tokens    Nullable(Int64),
    audio_output_tokens   Nullable(Int64),
    cost_provided         Nullable(Int64),               -- pico-USD (10^-12 USD), as are the next two
    cost_computed         Nullable(Int64),
    cost                  Nullable(Int64),
    cost_status           Enum8('provided' = 1, 'computed' = 2, 'unpriced' = 3),
    cost_reason           LowCardinality(String),
    price_version         LowCardinality(String),
    http_url              String,
    http_method           LowCardinality(String),
    http_ip               String,
    prompt_preview        Nullable(String) CODEC(ZSTD(1)),
    completion_preview    Nullable(String) CODEC(ZSTD(1)),
    media_hashes          Array(String),
    bus_generation        UInt8,
    bus_partition         UInt16,
    bus_offset            UInt64,
    INDEX by_user user_id TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_response provider_response_id TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_media media_hashes TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_arrival ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(created_at)
ORDER BY (project, created_at, id)
SETTINGS index_granularity = 2048,                      -- a list reads single rows from all over
         non_replicated_deduplication_window = 10000,
         fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480,
         deduplicate_merge_projection_mode = 'rebuild', ttl_only_drop_parts = 1;
