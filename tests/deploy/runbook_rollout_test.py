"""The runbook's way from a gateway's old writer to Holdfast, in stages, and back again: each stage
on a real server, with the page's own commands, and every row in its place."""

import unittest

import runbook
from runbook import Section, harness

from foreign_client import DAY, Stream, message, open_channel, rate_limit, usage

KINDS = {"rate_limit", "message", "usage"}

# As the gateways made them that this project replaces.
OLD_TABLES = """
    CREATE TABLE rate_limit_records (
      id BIGINT AUTO_INCREMENT PRIMARY KEY, identifier VARCHAR(255) NOT NULL,
      window_type VARCHAR(20) NOT NULL, route_path VARCHAR(500) NULL, request_count INT DEFAULT 0,
      window_start DATETIME NOT NULL, window_end DATETIME NOT NULL,
      created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
      updated_at DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
      UNIQUE KEY uk_identifier_window (identifier(191), window_type, route_path(191), window_start),
      KEY idx_window_start (window_start)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
    CREATE TABLE message (
      id INT AUTO_INCREMENT PRIMARY KEY, ig_sender_id VARCHAR(255), ig_recipient_id VARCHAR(255),
      ig_message_id VARCHAR(255) UNIQUE, text TEXT, attachments_json TEXT, timestamp_ms BIGINT,
      raw_json TEXT, conversation_id INT, direction VARCHAR(8), sender_username VARCHAR(255),
      story_id VARCHAR(255), story_url TEXT, ad_id VARCHAR(255), ad_link TEXT, ad_title TEXT,
      ad_image_url TEXT, ad_name TEXT, referral_json TEXT, created_at DATETIME
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
    CREATE TABLE usage_stats (
      api_key_id VARCHAR(64), account_type VARCHAR(32), model VARCHAR(128), stat_date DATE,
      stat_hour INT, requests BIGINT DEFAULT 0,
      UNIQUE KEY uk (api_key_id, account_type, model, stat_date, stat_hour)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
    CREATE TABLE usage_records (
      id BIGINT AUTO_INCREMENT PRIMARY KEY, api_key_id VARCHAR(64), model VARCHAR(128),
      input_tokens INT, output_tokens INT, created_at DATETIME
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"""


class Gateway:
    """Has a request an hour, of three users in turn. What is in `old` its old writer writes, what
    is in `new` it sends to Holdfast."""

    def __init__(self, server):
        self.server, self.daemon = server, None
        self.old, self.new = set(KINDS), set()
        self.served = 0
        self.counts = {}    # Of (identifier, window): the truth.

    def serve(self, requests, loses=(), keeps=()):
        """`loses`: kinds that the old writer loses. `keeps`: kinds that do not get to Holdfast."""
        events = []
        for number in range(self.served, self.served + requests):
            second, user = number * 3600, f"user:{number % 3}"
            self.counts[user, second] = self.counts.get((user, second), 0) + 1
            made = {
                "rate_limit": rate_limit(user, second=second,
                                         observed=self.counts[user, second]),
                "message": message(number, second=second),
                "usage": usage(number, key=user, second=second)}
            events += [made[kind] for kind in sorted(self.new - set(keeps))]
            self.server.sql(";".join(self._statements(number, second, user, set(loses))),
                            "gateway_db")
        self.served += requests
        if events:
            channel = open_channel(self.daemon)
            stream = Stream(channel)
            try:
                stream.wait_welcome()
                stream.send(1, events)
                stream.wait_committed(len(events))
                assert not stream.errors, stream.errors
            finally:
                stream.cancel()
                channel.close()

    def _statements(self, number, second, user, lost):
        start = f"'2026-03-01' + INTERVAL {second} SECOND"
        kinds = self.old - lost
        if "rate_limit" in kinds:
            yield ("INSERT INTO rate_limit_records (identifier, window_type, route_path, "
                   "request_count, window_start, window_end) VALUES "
                   f"('{user}', 'minute', '/v1/messages', {self.counts[user, second]}, {start}, "
                   f"{start} + INTERVAL 60 SECOND) ON DUPLICATE KEY UPDATE "
                   "request_count = VALUES(request_count)")
        if "message" in kinds:
            yield ("INSERT IGNORE INTO message (ig_sender_id, ig_recipient_id, ig_message_id, "
                   "text, timestamp_ms, conversation_id, direction, created_at) VALUES "
                   f"('sender', 'page', 'mid.{number}', 'text {number}', "
                   f"{(DAY + second) * 1000}, 1, 'in', NOW())")
        if "usage" in kinds:
            yield ("INSERT INTO usage_stats VALUES "
                   f"('{user}', 'claude', 'model-1', DATE({start}), HOUR({start}), 1) "
                   "ON DUPLICATE KEY UPDATE requests = requests + 1")
            yield ("INSERT INTO usage_records (api_key_id, model, input_tokens, output_tokens, "
                   f"created_at) VALUES ('{user}', 'model-1', 10, 20, NOW())")
        yield "SELECT 1"


class RolloutTest(runbook.RunbookTest):

    def setUp(self):
        super().setUp()
        self.server.sql(OLD_TABLES, "gateway_db")
        self.gateway = Gateway(self.server)
        self.gateway.daemon = self.daemon
        self.gateway.serve(30)

    def migrate(self, block):
        return self.shell(block, MYSQL_USER="holdfast_migrate",
                          MYSQL_PASSWORD=runbook.MIGRATE_PASSWORD,
                          MYSQL_HOST=self.server.host, MYSQL_SSL_MODE="disabled")

    def set(self, settings):
        """Settings of the page, with the journal below the test's folder."""
        for name, value in settings.items():
            if name == "HOLDFAST_JOURNAL_DIR":
                value = str(self.daemon.folder / value.rsplit("/", 1)[1])
            self.daemon.settings[name] = value

    def make_the_tables(self, section, database):
        """The block that makes the tables and gives the grants; what the migration said."""
        self.sql(section.block("GRANT", database))
        return self.migrate(section.block("holdfastd --migrate", database))

    def in_shadow(self, section):
        self.make_the_tables(section, "holdfast_shadow")
        self.set(section.settings("MYSQL_DATABASE="))
        self.daemon.start()

    def numbers(self, statement):
        return [tuple(map(int, row)) for row in self.server.sql(statement, "gateway_db")]

    def test_in_the_shadow_both_write_and_what_differs_is_found(self):
        page = Section("Shadow")
        self.in_shadow(page)
        # 1: that the server of a test is slow, or not durable, and the like.
        said = self.shell(f"{page.block('holdfast doctor').strip()} || [ $? = 1 ]")
        self.assertRegex(said, r"(?m)^ok +write committed")
        self.gateway.new = set(KINDS)
        self.gateway.serve(60)
        self.audit(page.block("holdfast audit"))
        limits, messages, days = (page.block(text) for text in
                                  ("n.window_type", "ig_message_id", "stat_date"))
        for block in (limits, messages, days):
            self.assertEqual(self.sql(block), [], block)

        # The old writer's task dies with what it had; an event does not get to Holdfast.
        self.gateway.serve(1, loses=KINDS)
        self.gateway.serve(1, keeps=KINDS)
        self.assertEqual([row[0:1] + row[4:] for row in self.sql(limits)],
                         [("user:0", "NULL", "1"), ("user:1", "1", "NULL")])
        self.assertEqual(self.sql(messages), [("only with the old writer", "mid.91"),
                                              ("only with Holdfast", "mid.90")])
        self.assertEqual([(row[1], *map(int, row[3:])) for row in self.sql(days)],
                         [("user:0", 6, 7), ("user:1", 7, 6)])

        # The way back: nobody needs the shadow.
        self.gateway.new = set()
        self.assertEqual(self.daemon.terminate(), 0)
        self.server.sql("DROP DATABASE holdfast_shadow", None)
        self.gateway.serve(3)
        self.assertEqual(self.server.number("SELECT COUNT(*) FROM message", "gateway_db"), 94)
        page.assert_all_used()

    def test_one_gateway_one_kind_then_all_then_back_and_forward_again(self):
        self.in_shadow(Section("Shadow"))
        self.gateway.new = set(KINDS)
        self.gateway.serve(30)

        # --- one gateway, one kind
        page = Section("One gateway, one kind")
        listing = page.block("information_schema.TABLES")
        self.assertEqual({row[0] for row in self.sql(listing)}, {"usage_records", "usage_stats"})
        self.gateway.old.remove("usage")
        said = self.make_the_tables(page, "gateway_db")
        self.assertIn("usage_stats_before_holdfast", said)
        self.gateway.new = set()
        self.shell(page.block("holdfast drain --wait"))
        self.assertEqual(self.daemon.process.wait(60), 0)
        self.set(page.settings("HOLDFAST_JOURNAL_DIR"))
        self.daemon.start()
        self.gateway.new = {"rate_limit"}
        self.gateway.serve(10)  # Both for a moment.
        self.gateway.old.remove("rate_limit")
        self.gateway.serve(20)
        self.audit(page.block("holdfast audit --since=1h"))
        self.assertEqual(self.numbers("SELECT COUNT(*), MIN(request_count), MAX(request_count) "
                                      "FROM rate_limit_records"), [(90, 1, 1)])
        # Nothing of the shadow was written once more.
        self.assertEqual(self.numbers("SELECT (SELECT COUNT(*) FROM usage_records), "
                                      "(SELECT SUM(committed) FROM holdfast_lanes)"), [(0, 30)])
        self.brake(page)

        # --- all
        self.gateway.old, self.gateway.new = set(), set(KINDS)
        self.gateway.serve(30)
        self.assertEqual(self.numbers(
            "SELECT (SELECT COUNT(*) FROM rate_limit_records), (SELECT COUNT(*) FROM message), "
            "(SELECT SUM(requests) FROM usage_stats)"), [(120, 120, 30)])

        # --- back
        page_back = Section("Back to the old writer")
        self.gateway.old, self.gateway.new = {"rate_limit", "message"}, set()
        self.shell(page_back.block("holdfast drain --wait"))
        self.assertEqual(self.daemon.process.wait(60), 0)
        self.sql(page_back.block("TO usage_records_of_holdfast"))
        self.gateway.old.add("usage")
        self.gateway.serve(10)
        # 60 before Holdfast and in its shadow, 30 by Holdfast, and these.
        self.assertEqual(self.numbers(
            "SELECT (SELECT COUNT(*) FROM rate_limit_records), (SELECT COUNT(*) FROM message), "
            "(SELECT SUM(requests) FROM usage_stats), "
            "(SELECT SUM(requests) FROM usage_stats_of_holdfast)"), [(130, 130, 70, 30)])

        # --- forward again
        self.gateway.old = set()
        self.sql(page_back.block("usage_records_of_holdfast TO"))
        self.daemon.start()
        self.gateway.new = set(KINDS)
        self.gateway.serve(10)
        self.assertEqual(self.numbers(
            "SELECT (SELECT COUNT(*) FROM rate_limit_records), (SELECT COUNT(*) FROM message), "
            "(SELECT SUM(requests) FROM usage_stats), (SELECT COUNT(*) FROM usage_records)"),
            [(140, 140, 40, 40)])
        self.audit(page.block("holdfast audit --since=1h"))
        page.assert_all_used()
        page_back.assert_all_used()

    def brake(self, page):
        """Rate limits alone are refused, and the gateway is told why."""
        self.assertEqual(self.daemon.terminate(), 0)
        self.set(page.settings("RATE_LIMIT_MYSQL_ENABLED"))
        self.daemon.start()
        (self.folder / "events").write_text(
            '{"occurredAt":"2026-01-15T10:30:00Z","rateLimit":{"identifier":"user:1",'
            '"windowType":"WINDOW_TYPE_MINUTE","observed":"7"}}\n', "ascii")
        said = self.shell(f"holdfast send {self.folder}/events", expect=1)
        self.assert_shown(page.block("stores no rate limits"), said)
        self.gateway.new = {"message"}
        self.gateway.serve(0)
        self.assertEqual(self.daemon.terminate(), 0)
        self.set({"RATE_LIMIT_MYSQL_ENABLED": "true"})
        self.daemon.start()


if __name__ == "__main__":
    unittest.main()
