-- What became of a quarantined event: replayed into its table, or discarded. Nothing is deleted.

ALTER TABLE holdfast_quarantine
  ADD COLUMN journal_id     BINARY(16)     NOT NULL DEFAULT '' COMMENT 'Of the daemon that met it last: in which books of its lane it is counted',
  ADD COLUMN outcome        VARBINARY(16)  NOT NULL DEFAULT '' COMMENT 'Empty while it waits; committed or duplicate once replayed; or discarded',
  ADD COLUMN settled_at     DATETIME(6)    NULL COMMENT 'When that was, UTC',
  ADD COLUMN settled_by     VARBINARY(160) NULL COMMENT 'Who did it, as they called themselves, and through which daemon',
  ADD COLUMN settled_reason VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'Why it was discarded';

-- Events from before: their lanes' books, if they are still those of the same journal, are not known
-- better than this.
UPDATE holdfast_quarantine, holdfast_lanes SET holdfast_quarantine.journal_id = holdfast_lanes.journal_id
 WHERE holdfast_quarantine.writer_id = holdfast_lanes.writer_id
   AND holdfast_quarantine.lane = holdfast_lanes.lane
   AND holdfast_quarantine.journal_id = UNHEX('00000000000000000000000000000000');
