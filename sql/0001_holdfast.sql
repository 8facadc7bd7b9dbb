-- Holdfast's own tables.

CREATE TABLE IF NOT EXISTS holdfast_lanes (
  writer_id   VARBINARY(64)   NOT NULL COMMENT 'Which daemon: HOLDFAST_WRITER_ID',
  lane        VARBINARY(20)   NOT NULL COMMENT 'Kind and number, as in usage-2',
  journal_id  BINARY(16)      NOT NULL COMMENT 'The journal whose ordinals the position counts',
  epoch       BIGINT UNSIGNED NOT NULL COMMENT 'Raised by each process that takes the lane; fences the one before',
  position    BIGINT UNSIGNED NOT NULL COMMENT 'The last ordinal of this lane that is settled',
  committed   BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Of these: rows that this lane brought in',
  duplicate   BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Of these: ids that were there already',
  quarantined BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Of these: in holdfast_quarantine',
  adjusted    BIGINT          NOT NULL DEFAULT 0 COMMENT 'position - committed - duplicate - quarantined; 0 unless a journal was damaged',
  updated_at  DATETIME(6)     NOT NULL COMMENT 'UTC',
  PRIMARY KEY (writer_id, lane)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
  COMMENT='Idempotent: every transaction moves its position by compare-and-set, so it takes effect once';

CREATE TABLE IF NOT EXISTS holdfast_quarantine (
  quarantine_id  BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  digest         BINARY(16)      NOT NULL COMMENT 'Of kind and event: the same event is kept once',
  kind           VARBINARY(16)   NOT NULL COMMENT 'rate_limit, usage or message',
  writer_id      VARBINARY(64)   NOT NULL COMMENT 'Which daemon met it last',
  lane           VARBINARY(20)   NOT NULL,
  producer_id    BINARY(16)      NOT NULL COMMENT 'Who sent it; all zero for a Write without producer_id',
  sequence       BIGINT UNSIGNED NOT NULL COMMENT 'As what',
  event_id       VARBINARY(255)  NOT NULL COMMENT 'Its own id, if it has one',
  error_number   INT UNSIGNED    NOT NULL COMMENT 'Of the database; 0 for an id that is taken by other content',
  column_name    VARBINARY(64)   NOT NULL COMMENT 'At fault, where the database names it',
  reason         VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  event_protobuf MEDIUMBLOB      NOT NULL COMMENT 'holdfast.v1.Event',
  event_json     LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'The same, for people',
  first_at       DATETIME(6)     NOT NULL COMMENT 'UTC',
  last_at        DATETIME(6)     NOT NULL COMMENT 'UTC',
  attempts       INT UNSIGNED    NOT NULL DEFAULT 1,
  PRIMARY KEY (quarantine_id),
  UNIQUE KEY uk_digest (digest),
  KEY idx_first_at (first_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
  COMMENT='Idempotent: keyed by digest, and written in the transaction that moves the lane past the event';
