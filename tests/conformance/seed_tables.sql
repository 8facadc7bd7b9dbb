-- Tables as gateways made them before there was a Holdfast. Migrations meet them in real databases.

CREATE TABLE rate_limit_records (
  id            BIGINT       NOT NULL AUTO_INCREMENT,
  identifier    VARCHAR(255) NOT NULL,
  window_type   VARCHAR(20)  NOT NULL,
  route_path    VARCHAR(500) NULL,
  request_count INT          NOT NULL DEFAULT 0,
  window_start  DATETIME     NOT NULL,
  window_end    DATETIME     NOT NULL,
  created_at    DATETIME     NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at    DATETIME     NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (id),
  UNIQUE KEY uk_identifier_window (identifier(191), window_type, route_path(191), window_start),
  KEY idx_identifier (identifier(191)),
  KEY idx_window_start (window_start),
  KEY idx_window_end (window_end)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE usage_records (
  id               BIGINT        NOT NULL AUTO_INCREMENT,
  api_key_id       VARCHAR(64)   NOT NULL,
  model            VARCHAR(128)  NULL,
  endpoint         VARCHAR(255)  NULL,
  input_tokens     INT           NOT NULL DEFAULT 0,
  output_tokens    INT           NOT NULL DEFAULT 0,
  cache_tokens     INT           NOT NULL DEFAULT 0,
  cost             DECIMAL(12,6) NOT NULL DEFAULT 0,
  response_time_ms INT           NULL,
  status_code      INT           NULL,
  error_message    TEXT          NULL,
  metadata         JSON          NULL,
  created_at       DATETIME      NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (id),
  KEY idx_api_key (api_key_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE usage_stats (
  api_key_id                 VARCHAR(64)  NOT NULL,
  account_type               VARCHAR(32)  NOT NULL DEFAULT 'api_key',
  model                      VARCHAR(128) NOT NULL,
  stat_date                  DATE         NOT NULL,
  stat_hour                  INT          NULL,
  stat_month                 VARCHAR(7)   NOT NULL,
  total_tokens               BIGINT       NOT NULL DEFAULT 0,
  input_tokens               BIGINT       NOT NULL DEFAULT 0,
  output_tokens              BIGINT       NOT NULL DEFAULT 0,
  cache_create_tokens        BIGINT       NOT NULL DEFAULT 0,
  cache_read_tokens          BIGINT       NOT NULL DEFAULT 0,
  ephemeral_5m_tokens        BIGINT       NOT NULL DEFAULT 0,
  ephemeral_1h_tokens        BIGINT       NOT NULL DEFAULT 0,
  long_context_input_tokens  BIGINT       NOT NULL DEFAULT 0,
  long_context_output_tokens BIGINT       NOT NULL DEFAULT 0,
  long_context_requests      BIGINT       NOT NULL DEFAULT 0,
  requests                   BIGINT       NOT NULL DEFAULT 0,
  created_at                 DATETIME     NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at                 DATETIME     NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  UNIQUE KEY uk_stat (api_key_id, model, stat_date, stat_hour)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE cost_stats (
  api_key_id VARCHAR(64)   NOT NULL,
  cost_type  VARCHAR(16)   NOT NULL,
  cost_date  VARCHAR(16)   NOT NULL,
  amount     DECIMAL(20,6) NOT NULL DEFAULT 0,
  updated_at DATETIME      NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  UNIQUE KEY uk_cost (api_key_id, cost_type, cost_date)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE conversations (
  id                     INT          NOT NULL AUTO_INCREMENT,
  igba_id                VARCHAR(255) NULL,
  ig_user_id             VARCHAR(255) NULL,
  graph_conversation_id  VARCHAR(255) NULL,
  last_message_id        INT          NULL,
  last_message_text      TEXT         NULL,
  unread_count           INT          NOT NULL DEFAULT 0,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE message (
  id               INT          NOT NULL AUTO_INCREMENT,
  ig_sender_id     VARCHAR(255) NULL,
  ig_recipient_id  VARCHAR(255) NULL,
  ig_message_id    VARCHAR(255) NULL,
  text             TEXT         NULL,
  attachments_json TEXT         NULL,
  timestamp_ms     BIGINT       NULL,
  raw_json         TEXT         NULL,
  conversation_id  INT          NULL,
  direction        VARCHAR(3)   NULL,
  sender_username  VARCHAR(255) NULL,
  story_id         VARCHAR(255) NULL,
  story_url        TEXT         NULL,
  ai_status        VARCHAR(16)  NULL,
  ai_json          TEXT         NULL,
  ad_id            VARCHAR(255) NULL,
  ad_link          TEXT         NULL,
  ad_title         VARCHAR(512) NULL,
  ad_image_url     TEXT         NULL,
  ad_name          VARCHAR(255) NULL,
  referral_json    TEXT         NULL,
  product_id       INT          NULL,
  message_category VARCHAR(64)  NULL,
  sender_type      VARCHAR(16)  NULL,
  created_at       DATETIME     NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uk_ig_message_id (ig_message_id),
  KEY idx_ig_sender_id (ig_sender_id),
  KEY idx_ig_recipient_id (ig_recipient_id),
  CONSTRAINT fk_message_conversation FOREIGN KEY (conversation_id) REFERENCES conversations (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
