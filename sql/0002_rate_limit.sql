-- Rate-limit records. A table of this name that a gateway has made is left as it is and written to.

CREATE TABLE IF NOT EXISTS rate_limit_records (
  identifier    VARBINARY(255)  NOT NULL COMMENT 'user:..., login:..., api_key:..., ip:...',
  window_type   VARBINARY(20)   NOT NULL COMMENT 'second, minute, hour or day',
  route_path    VARBINARY(500)  NOT NULL DEFAULT '' COMMENT 'Empty for all routes',
  request_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
  window_start  DATETIME        NOT NULL COMMENT 'UTC',
  window_end    DATETIME        NOT NULL COMMENT 'UTC',
  created_at    DATETIME        NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at    DATETIME        NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (identifier, window_type, route_path, window_start),
  KEY idx_window_end (window_end)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
  COMMENT='Idempotent: observed counts keep the greatest; hits are added only by the transaction that moves a lane, those with an event_id only if that is new in holdfast_rate_limit_hits';

CREATE TABLE IF NOT EXISTS holdfast_rate_limit_hits (
  event_id     BINARY(16)      NOT NULL COMMENT 'A UUID, or the first 16 bytes of the SHA-256 of any other id',
  content_hash BIGINT UNSIGNED NOT NULL COMMENT 'Tells a duplicate from a conflict',
  batch_tag    BIGINT UNSIGNED NOT NULL COMMENT 'Random, by transaction: tells which rows it really inserted',
  occurred_at  DATETIME(6)     NOT NULL COMMENT 'UTC; rows older than 8 days are deleted',
  PRIMARY KEY (event_id),
  KEY idx_occurred_at (occurred_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
  COMMENT='Idempotent: the primary key; remembers which hits were added';
