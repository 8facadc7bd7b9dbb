"""One event that the database refuses among 4,096 is found, kept apart, and holds up nobody."""

import math
import unittest

import harness
from foreign_client import Stream, grpc, ingest_pb2, message, open_channel

BATCH = 4096
EXTRA_MAX = 2 * int(math.log2(BATCH))


class PoisonTest(harness.DaemonTest):

    def setUp(self):
        super().setUp()
        self.daemon.start()
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        self.stream = Stream(channel)
        self.addCleanup(self.stream.cancel)
        self.stream.wait_welcome()
        self.sequence = 0

    def send(self, events):
        """Sends one batch, of one lane, and returns how many statements it took."""
        before = self.statements()
        self.stream.send(self.sequence + 1, events)
        self.sequence += len(events)
        self.stream.wait_committed(self.sequence)
        after = self.statements()
        return tuple(late - early for late, early in zip(after, before))

    def statements(self):
        """Statements that change rows: as the server counts them, and as the daemon does."""
        return (self.database.status("COM_INSERT", "COM_UPDATE"),
                self.daemon.metrics().sum("holdfast_statement_seconds_count"))

    def clean_batch(self, start):
        return [message(number) for number in range(start, start + BATCH)]

    def assert_found(self, poison_at, error_number, column):
        """`column`: of a check that was broken, its name."""
        clean = self.send(self.clean_batch(0))
        batch = self.clean_batch(BATCH)
        batch[poison_at].message.text = "poison " * 20
        batch[poison_at].message.sender_username = "poison"
        taken = self.send(batch)

        sequence = BATCH + poison_at + 1
        self.assertEqual(list(self.stream.errors), [sequence])
        error = self.stream.errors[sequence]
        self.assertEqual(error.disposition, ingest_pb2.DISPOSITION_QUARANTINED)
        self.assertEqual(error.code, grpc.StatusCode.FAILED_PRECONDITION.value[0])

        rows = self.database.sql("SELECT kind, error_number, column_name, sequence, reason, "
                                 "LENGTH(event_protobuf) > 0, JSON_VALID(event_json) "
                                 "FROM holdfast_quarantine")
        self.assertEqual(len(rows), 1, rows)
        self.assertEqual(rows[0][:4], ("message", str(error_number), column, str(sequence)))
        self.assertGreater(len(rows[0][4]), 10)
        self.assertEqual(rows[0][5:], ("1", "1"))
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM message"), 2 * BATCH - 1)
        self.assertEqual(self.database.number(
            f"SELECT COUNT(*) FROM message WHERE ig_message_id = 'mid.{BATCH + poison_at}'"), 0)
        self.assert_books(self.daemon, accepted=2 * BATCH, committed=2 * BATCH - 1, quarantined=1)

        extra = tuple(late - early for late, early in zip(taken, clean))
        print(f"extra statements: {extra[0]:.0f} by the server's count, {extra[1]:.0f} by ours")
        self.assertGreaterEqual(extra[0], 1)
        self.assertLessEqual(extra[0], EXTRA_MAX)
        self.assertLessEqual(extra[1], EXTRA_MAX)

    def test_a_value_too_long_for_a_shortened_column(self):
        self.database.sql("ALTER TABLE message MODIFY text VARCHAR(100) CHARACTER SET utf8mb4")
        self.assert_found(1234, 1406, "text")

    def test_a_row_that_a_check_refuses_as_the_first_of_its_batch(self):
        self.database.sql("ALTER TABLE message ADD CONSTRAINT no_poison "
                          "CHECK (sender_username <> 'poison')")
        self.assert_found(0, 4025, "no_poison")

    def test_a_row_that_a_check_refuses_as_the_last_of_its_batch(self):
        self.database.sql("ALTER TABLE message ADD CONSTRAINT no_poison "
                          "CHECK (sender_username <> 'poison')")
        self.assert_found(BATCH - 1, 4025, "no_poison")


if __name__ == "__main__":
    unittest.main()
