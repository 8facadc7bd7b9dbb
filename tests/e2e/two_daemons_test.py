"""The same file sent through two daemons at once leaves the same tables as sent once."""

import subprocess
import unittest

import audit
import harness

EVENTS = 20000

# Every column that says what was sent. Not: the tag of the transaction that was first, the times
# at which rows were made, and in the quarantine which daemon met an event and how often.
TABLES = {
    "usage_records": "event_id, event_id_text, api_key_id, account_id, account_type, model, "
                     "request_id, endpoint, method, status_code, stream, duration_ms, "
                     "input_tokens, output_tokens, cache_create_tokens, cache_read_tokens, "
                     "ephemeral_5m_tokens, ephemeral_1h_tokens, long_context, cost_micros, "
                     "real_cost_micros, occurred_at, content_hash",
    "usage_stats": "*",
    "message": "*",
    "rate_limit_records": "identifier, window_type, route_path, request_count, window_start, "
                          "window_end",
    "holdfast_rate_limit_hits": "event_id, content_hash, occurred_at",
    "holdfast_quarantine": "digest, kind, lane, event_id, error_number, reason, event_protobuf",
}


class TwoDaemonsTest(harness.DaemonTest):

    def checksums(self, schema):
        """Of each table: how many rows, and a checksum of its ordered dump."""
        answer = {}
        for table, columns in TABLES.items():
            ordered = self.database.sql(f"SELECT {columns} FROM {schema}.{table} ORDER BY 1, 2, 3")
            answer[table] = (len(ordered), hash(tuple(ordered)))
        return answer

    def send(self, daemon, file):
        return subprocess.Popen([harness.BIN / "holdfast", "send", "--to", daemon.target, file],
                                env=daemon.environment(), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def test_the_same_file_through_two_daemons_leaves_the_same_tables_as_once(self):
        file = self.folder / "events.jsonl"
        with open(file, "wb") as output:
            subprocess.run([harness.BIN / "holdfast-traffic", "--seed", "11", "--events",
                            str(EVENTS), "--poison", "8", "--duplicates", "3", "--expect",
                            self.folder / "expected"], stdout=output, check=True)
        expected = audit.Expectation().read(file)
        self.assertGreater(expected.refused, 0)
        twice = [self.daemon, self.make_daemon("b")]
        once = self.make_daemon("c", schema="once")
        once.migrate()
        daemons = [*twice, once]
        for daemon in daemons:
            daemon.start()
        for sender in [self.send(daemon, file) for daemon in daemons]:
            said, _ = sender.communicate(timeout=600)
            self.assertEqual(sender.returncode, 1, said)  # Some were refused.
        books = [daemon.wait_drained(expected.accepted) for daemon in daemons]

        self.assertEqual(self.checksums("holdfast"), self.checksums("once"))
        audit.compare(expected, self.database)
        audit.compare_books(expected, books[2])
        for its in books:
            self.assertEqual(its["accepted"], expected.accepted)
        self.assertGreater(books[0]["duplicate"] + books[1]["duplicate"], expected.duplicate)


if __name__ == "__main__":
    unittest.main()
