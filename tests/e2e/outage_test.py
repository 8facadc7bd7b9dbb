"""The database is away, or its schema is wrong: events are taken until the journal is full, nothing
that was accepted is lost, and when the trouble ends everything drains by itself."""

import unittest

import harness
from foreign_client import Stream, grpc, ingest_pb2, ingest_pb2_grpc, message, open_channel, usage

KIBIBYTE = 1 << 10
MEBIBYTE = 1 << 20


class OutageTest(harness.DaemonTest):

    def open_stream(self, level=ingest_pb2.ACK_LEVEL_JOURNALED):
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        stream = Stream(channel, ack_level=level)
        self.addCleanup(stream.cancel)
        stream.wait_welcome()
        return stream

    def test_events_are_taken_while_the_database_is_away_at_the_start(self):
        self.database.stop()
        self.daemon.start(ready=False)
        code, degraded = self.daemon.page("/readyz")
        self.assertEqual(code, 200)  # It takes events, and says what it cannot do with them.
        self.assertIn("database", degraded.lower())
        self.assertTrue(self.daemon.status()["missing"])
        stream = self.open_stream()
        stream.send(1, [usage(number) for number in range(1, 1001)])
        stream.wait_journaled(1000)
        self.assertEqual(stream.committed, 0)

        # A restart in between changes nothing.
        self.daemon.kill()
        self.daemon.start(ready=False)
        self.database.start()
        self.assert_books(self.daemon, accepted=1000, committed=1000)
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), 1000)
        harness.wait_for(lambda: not self.daemon.status().get("missing"), "nothing to be missing")

    def test_a_database_that_stops_and_comes_back_gets_every_event_once(self):
        self.daemon.start()
        stream = self.open_stream()
        sent = 0
        for stop in (self.database.stop, self.database.kill):
            stream.send(sent + 1, [usage(number) for number in range(sent, sent + 500)])
            sent += 500
            stream.wait_journaled(sent)
            stop()
            stream.send(sent + 1, [usage(number) for number in range(sent, sent + 500)])
            sent += 500
            stream.wait_journaled(sent)
            self.database.start()
        stream.wait_committed(sent)
        self.assertEqual(stream.errors, {})
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), sent)
        self.assertEqual(self.database.number("SELECT SUM(requests) FROM usage_stats"), sent)
        self.assert_books(self.daemon, accepted=sent, committed=sent)

    def test_a_missing_table_stops_its_lanes_and_no_others(self):
        self.daemon.start()
        stream = self.open_stream()
        self.database.sql("RENAME TABLE message TO message_away")
        stream.send(1, [message(number, conversation=number) for number in range(1, 101)])
        stream.send(101, [usage(number, key=f"key-{number % 9}") for number in range(101, 201)])
        stream.wait_journaled(200)

        def stopped():
            return [lane for lane in self.daemon.lanes().values()
                    if lane.get("state") == "LANE_STATE_STOPPED"]
        for lane in harness.wait_for(stopped, "a lane to be stopped"):
            self.assertTrue(lane["lane"].startswith("message-"), lane)
            self.assertIn("message", lane["reason"])
        harness.wait_for(lambda: self.database.number("SELECT COUNT(*) FROM usage_records") == 100,
                         "the usage events to land")
        self.assertGreaterEqual(self.daemon.metrics().sum("holdfast_lane_stopped"), 1)
        self.assertLess(stream.committed, 101)
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM holdfast_quarantine"), 0)

        self.database.sql("RENAME TABLE message_away TO message")
        stream.wait_committed(200)
        self.assertEqual(stream.errors, {})
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM message"), 100)
        self.assert_books(self.daemon, accepted=200, committed=200, quarantined=0)
        self.assertEqual(stopped(), [])


class FullJournalTest(harness.DaemonTest):

    journal_bytes_max = 64 * MEBIBYTE
    settings = {"HOLDFAST_JOURNAL_MAX_BYTES": journal_bytes_max,
                "HOLDFAST_JOURNAL_SEGMENT_BYTES": 8 * MEBIBYTE}

    def send_on_a_stream(self, channel, producer=None):
        stream = Stream(channel, producer)
        self.addCleanup(stream.cancel)
        stream.wait_welcome()
        stream.send(1, [usage(number) for number in range(1, 101)])
        return stream

    def test_a_full_journal_refuses_with_a_pushback_and_loses_nothing(self):
        self.database.stop()
        self.daemon.start(ready=False)
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        ingest = ingest_pb2_grpc.IngestServiceStub(channel)
        taken, refusal = 0, None
        while refusal is None and taken < 400:
            events = [message(taken * 4 + n, conversation=taken * 4 + n + 1,
                              raw_json="x" * (900 * KIBIBYTE)) for n in range(4)]
            try:
                ingest.Write(ingest_pb2.WriteRequest(
                    batch=ingest_pb2.EventBatch(events=events),
                    wait_for=ingest_pb2.ACK_LEVEL_JOURNALED), timeout=60)
                taken += 1
            except grpc.RpcError as error:
                refusal = error
        self.assertIsNotNone(refusal, "64 MiB took 1.4 GiB")
        self.assertEqual(refusal.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, refusal.details())
        pushback = dict(refusal.trailing_metadata() or ()).get("grpc-retry-pushback-ms")
        self.assertIsNotNone(pushback)
        self.assertGreater(int(pushback), 0)
        self.assertGreater(taken, 10)
        self.assertEqual(self.daemon.metrics().sum("holdfast_journal_full"), 1)
        on_disk = sum(file.stat().st_size for file in (self.daemon.folder / "journal").rglob("*")
                      if file.is_file())
        self.assertLessEqual(on_disk, self.journal_bytes_max + MEBIBYTE)

        # A stream is told the same, and goes on where it was once there is room.
        stream = self.send_on_a_stream(channel)
        code, _, trailer = stream.wait_end()
        self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertGreater(int(trailer["grpc-retry-pushback-ms"]), 0)
        self.database.start()
        harness.wait_for(lambda: self.daemon.metrics().sum("holdfast_journal_full") == 0,
                         "the journal to have room")
        self.send_on_a_stream(channel, stream.producer).wait_committed(100)
        self.assert_books(self.daemon, accepted=taken * 4 + 100, committed=taken * 4 + 100)
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM message"), taken * 4)
        self.assertEqual(self.database.number(
            "SELECT COUNT(*) FROM message WHERE raw_json <> REPEAT('x', 900 * 1024)"), 0)
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), 100)


if __name__ == "__main__":
    unittest.main()
