-- Ingested messages. A table of this name that a gateway has made is left as it is and written to.

CREATE TABLE IF NOT EXISTS message (
  ig_message_id    VARBINARY(255)  NOT NULL,
  ig_sender_id     VARBINARY(255)  NOT NULL,
  ig_recipient_id  VARBINARY(255)  NOT NULL,
  text             TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  attachments_json MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  timestamp_ms     BIGINT          NOT NULL COMMENT 'The platform''s own time',
  raw_json         MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  conversation_id  BIGINT          NULL,
  direction        VARBINARY(3)    NOT NULL COMMENT 'in or out',
  sender_username  VARBINARY(255)  NULL,
  story_id         VARBINARY(255)  NULL,
  story_url        VARBINARY(2048) NULL,
  ad_id            VARBINARY(255)  NULL,
  ad_link          VARBINARY(2048) NULL,
  ad_title         VARBINARY(512)  NULL,
  ad_image_url     VARBINARY(2048) NULL,
  ad_name          VARBINARY(255)  NULL,
  referral_json    MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at       DATETIME(6)     NOT NULL COMMENT 'When the gateway received it, UTC',
  PRIMARY KEY (ig_message_id),
  KEY idx_conversation (conversation_id, timestamp_ms)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
  COMMENT='Idempotent: the primary key is the message id';
