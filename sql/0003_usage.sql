-- Usage and cost. Money is in millionths of a US dollar, never a float. Tables of these names in the
-- shape of an earlier gateway are renamed to *_before_holdfast first (see the migration's output).

CREATE TABLE IF NOT EXISTS usage_records (
  event_id            BINARY(16)        NOT NULL COMMENT 'A UUID, or the first 16 bytes of the SHA-256 of any other id',
  event_id_text       VARBINARY(128)    NULL COMMENT 'The id as sent, if it is not a UUID',
  api_key_id          VARBINARY(64)     NOT NULL,
  account_id          VARBINARY(64)     NOT NULL,
  account_type        VARBINARY(32)     NOT NULL,
  model               VARBINARY(128)    NOT NULL,
  request_id          VARBINARY(128)    NOT NULL,
  endpoint            VARBINARY(255)    NOT NULL,
  method              VARBINARY(16)     NOT NULL,
  status_code         SMALLINT UNSIGNED NOT NULL,
  stream              TINYINT UNSIGNED  NOT NULL,
  duration_ms         INT UNSIGNED      NOT NULL,
  input_tokens        INT UNSIGNED      NOT NULL,
  output_tokens       INT UNSIGNED      NOT NULL,
  cache_create_tokens INT UNSIGNED      NOT NULL,
  cache_read_tokens   INT UNSIGNED      NOT NULL,
  ephemeral_5m_tokens INT UNSIGNED      NOT NULL,
  ephemeral_1h_tokens INT UNSIGNED      NOT NULL,
  long_context        TINYINT UNSIGNED  NOT NULL,
  cost_micros         BIGINT            NOT NULL,
  real_cost_micros    BIGINT            NOT NULL,
  occurred_at         DATETIME(6)       NOT NULL COMMENT 'UTC',
  content_hash        BIGINT UNSIGNED   NOT NULL COMMENT 'Tells a duplicate from a conflict',
  batch_tag           BIGINT UNSIGNED   NOT NULL COMMENT 'Random, by transaction: tells which rows it really inserted',
  PRIMARY KEY (event_id),
  KEY idx_api_key_occurred_at (api_key_id, occurred_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
  COMMENT='Idempotent: the primary key is the event id; counters are derived only from rows really inserted';

CREATE TABLE IF NOT EXISTS usage_stats (
  api_key_id                 VARBINARY(64)   NOT NULL,
  account_id                 VARBINARY(64)   NOT NULL,
  model                      VARBINARY(128)  NOT NULL,
  stat_hour                  DATETIME        NOT NULL COMMENT 'The first moment of the hour, at STATS_UTC_OFFSET',
  requests                   BIGINT UNSIGNED NOT NULL,
  input_tokens               BIGINT UNSIGNED NOT NULL,
  output_tokens              BIGINT UNSIGNED NOT NULL,
  cache_create_tokens        BIGINT UNSIGNED NOT NULL,
  cache_read_tokens          BIGINT UNSIGNED NOT NULL,
  ephemeral_5m_tokens        BIGINT UNSIGNED NOT NULL,
  ephemeral_1h_tokens        BIGINT UNSIGNED NOT NULL,
  long_context_requests      BIGINT UNSIGNED NOT NULL,
  long_context_input_tokens  BIGINT UNSIGNED NOT NULL,
  long_context_output_tokens BIGINT UNSIGNED NOT NULL,
  cost_micros                BIGINT          NOT NULL,
  real_cost_micros           BIGINT          NOT NULL,
  PRIMARY KEY (api_key_id, account_id, model, stat_hour)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
  COMMENT='Idempotent: added to only in the transaction that inserted the usage_records it counts';

-- The finest grain is stored; days, months and totals are derived here.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW cost_stats AS
SELECT api_key_id, 'hourly' AS cost_type, DATE_FORMAT(stat_hour, '%Y-%m-%d:%H') AS cost_date,
       SUM(cost_micros) * 0.000001 AS amount
  FROM usage_stats GROUP BY api_key_id, cost_date
UNION ALL
SELECT api_key_id, 'daily', DATE_FORMAT(stat_hour, '%Y-%m-%d') AS cost_date,
       SUM(cost_micros) * 0.000001
  FROM usage_stats GROUP BY api_key_id, cost_date
UNION ALL
SELECT api_key_id, 'monthly', DATE_FORMAT(stat_hour, '%Y-%m') AS cost_date,
       SUM(cost_micros) * 0.000001
  FROM usage_stats GROUP BY api_key_id, cost_date
UNION ALL
SELECT api_key_id, 'total', 'all' AS cost_date, SUM(cost_micros) * 0.000001
  FROM usage_stats GROUP BY api_key_id;
