"""Logs and traces: what a gateway's `traceparent` says is found again in the daemon's JSON log and in
the database's own log, also after the daemon was killed; and neither log shows what an event says."""

import json
import unittest
import uuid

import harness
from foreign_client import Stream, ingest_pb2, ingest_pb2_grpc, message, open_channel, usage

CANARY = "canary-7d1f0b"


def traceparent(number, version="00", flags="01"):
    return f"{version}-{number:032x}-{number:016x}-{flags}"


def trace_id(number):
    return f"{number:032x}"


class LogTest(harness.DaemonTest):
    """A daemon that logs JSON, beside a database that logs every statement."""

    settings = {"LOG_LEVEL": "debug", "HOLDFAST_LOG_FORMAT": "json"}

    def setUp(self):
        super().setUp()
        # To a table, so that its text is as the server has taken it.
        self.database.options = ["--log-output=TABLE", "--general-log=1"]
        self.database.stop()
        self.database.start()

    def open(self):
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        return channel

    def write(self, channel, event, metadata, wait_for=ingest_pb2.ACK_LEVEL_COMMITTED):
        answer = ingest_pb2_grpc.IngestServiceStub(channel).Write(
            ingest_pb2.WriteRequest(batch=ingest_pb2.EventBatch(events=[event]),
                                    wait_for=wait_for),
            metadata=metadata, timeout=harness.PATIENCE, wait_for_ready=True)
        self.assertEqual(len(answer.results), 1)
        return answer.results[0].outcome

    def lines(self):
        """The daemon's log: every line is an object with a time, a level and a sentence."""
        lines = []
        for text in self.daemon.log.read_text(encoding="utf-8").splitlines(keepends=True):
            if not text.endswith("\n"):
                break  # Being written.
            line = json.loads(text)
            self.assertEqual(list(line)[:3], ["time", "level", "msg"], text)
            lines.append(line)
        return lines

    def batch_lines(self, number):
        """The lines of batches that carry a trace."""
        return [line for line in self.lines() if line["msg"] in ("batch written", "slow batch")
                and trace_id(number) in line.get("traces", [])]

    def wait_batch_line(self, number):
        return harness.wait_for(lambda: self.batch_lines(number), f"a batch of trace {number}")[0]

    def statements(self):
        """What the server was sent so far, as (command, text)."""
        self.database.sql("SET GLOBAL general_log = 0", None)
        rows = self.database.sql(
            "SELECT command_type, HEX(argument) FROM mysql.general_log ORDER BY event_time", None)
        return [(command, bytes.fromhex(text).decode(errors="replace")) for command, text in rows]

    def holder(self):
        """A session that holds every lane's row."""
        other = self.database.session()
        self.addCleanup(other.close)
        other.run("BEGIN")
        other.run("SELECT COUNT(*) FROM (SELECT * FROM holdfast_lanes FOR UPDATE) held")
        return other


class TraceTest(LogTest):

    def test_a_trace_is_found_in_the_log_and_in_the_databases_own(self):
        self.daemon.start()
        channel = self.open()
        self.write(channel, usage(1), [("traceparent", traceparent(0xa1))])
        stream = Stream(channel, metadata=[("traceparent", traceparent(0xb2, flags="00"))])
        stream.wait_welcome()
        stream.send(1, [usage(2), usage(3)])
        stream.wait_committed(2)
        stream.cancel()
        self.write(channel, usage(4), [])
        line = self.wait_batch_line(0xa1)
        self.assertEqual(line["level"], "debug")
        self.assertEqual(line["tables"], ["usage_records", "usage_stats"])
        self.assertEqual((line["rows"], line["attempt"], line["quarantined"]), (1, 1, 0))
        self.assertGreater(line["took_seconds"], 0)
        self.assertRegex(line["lane"], r"^usage-\d+$")
        self.assertEqual(self.wait_batch_line(0xb2)["traces"], [trace_id(0xb2)])
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), 4)

        statements = self.statements()
        texts = [text for _, text in statements]
        for verb in ("BEGIN", "COMMIT"):
            self.assertEqual(texts.count(f"{verb} /*traceparent='{traceparent(0xa1)}'*/"), 1)
            self.assertEqual(
                texts.count(f"{verb} /*traceparent='{traceparent(0xb2, flags='00')}'*/"), 1)
            self.assertIn(verb, texts, "a transaction of no trace has no comment")
        # A comment that differs from batch to batch would be another prepared statement each time.
        self.assertEqual({command for command, text in statements if "traceparent" in text},
                         {"Query"})
        prepared = [text for command, text in statements if command == "Prepare"]
        self.assertTrue(prepared)

    def test_what_is_no_trace_is_no_trace_and_is_repeated_nowhere(self):
        self.daemon.start()
        channel = self.open()
        bad = [f"00-{CANARY}'*/; DROP TABLE usage_records; --",
               traceparent(0), traceparent(0xc3, version="ff"), traceparent(0xc3).upper() + "X",
               traceparent(0xc3)[:-1], traceparent(0xc3) + "-00", "*/", "0" * 55]
        for number, text in enumerate(bad):
            self.assertEqual(self.write(channel, usage(number), [("traceparent", text)]),
                             ingest_pb2.OUTCOME_COMMITTED, text)
        twice = [("traceparent", traceparent(0xc4)), ("traceparent", traceparent(0xc5))]
        self.write(channel, usage(100), twice)
        self.write(channel, usage(101), [("traceparent", traceparent(0xc6, version="7f") + "-new")])
        self.wait_batch_line(0xc6)
        for line in self.lines():
            self.assertIn(line.get("traces", [trace_id(0xc6)]), ([trace_id(0xc6)],))
            self.assertNotIn(CANARY, json.dumps(line))
        traced = [text for _, text in self.statements() if "traceparent" in text]
        self.assertEqual(set(traced), {f"BEGIN /*traceparent='{traceparent(0xc6)}'*/",
                                       f"COMMIT /*traceparent='{traceparent(0xc6)}'*/"})
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), len(bad) + 2)

    def test_a_batch_names_four_traces_and_counts_the_others(self):
        self.daemon.start()
        channel = self.open()
        self.write(channel, usage(0), [])
        other = self.holder()
        # The first waits for the row; what comes meanwhile gathers into the next batch.
        journaled = ingest_pb2.ACK_LEVEL_JOURNALED
        self.write(channel, usage(1), [("traceparent", traceparent(1))], journaled)
        harness.wait_for(lambda: self.database.number(
            "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"),
            "the lane to wait for its row", interval=0.3)
        for number in (2, 3, 3, 4, 5, 6, 7, 6):
            self.write(channel, usage(f"{number} {uuid.uuid4()}"),
                       [("traceparent", traceparent(number))], journaled)
        other.run("ROLLBACK")
        self.daemon.wait_drained(10)
        line = self.wait_batch_line(2)
        # A lock wait that timed out in between shows as an attempt; the batch is the same.
        self.assertEqual(line["rows"], 8)
        self.assertEqual(line["traces"], [trace_id(number) for number in (2, 3, 4, 5)])
        self.assertEqual(line["traces_more"], 2)
        comment = (f"/*traceparent='{traceparent(2)}',traceparent_2='{traceparent(3)}',"
                   f"traceparent_3='{traceparent(4)}',traceparent_4='{traceparent(5)}',"
                   "traces_more='2'*/")
        self.assertIn(f"COMMIT {comment}", [text for _, text in self.statements()])

    def test_a_trace_outlives_the_daemon_and_the_absence_of_the_database(self):
        self.daemon.start()
        self.database.kill()
        channel = self.open()
        journaled = ingest_pb2.ACK_LEVEL_JOURNALED
        self.write(channel, usage(1), [("traceparent", traceparent(0xd1))], journaled)
        self.write(channel, usage(2), [], journaled)
        self.write(channel, message(3), [("traceparent", traceparent(0xd2))], journaled)
        self.daemon.kill()
        self.daemon.start(ready=False)
        self.assertEqual(self.batch_lines(0xd1), [])
        self.database.start()
        self.daemon.wait_drained(3)
        self.assertEqual(self.wait_batch_line(0xd1)["traces"], [trace_id(0xd1)])
        self.assertEqual(self.wait_batch_line(0xd2)["tables"], ["message"])
        texts = [text for _, text in self.statements()]
        for number in (0xd1, 0xd2):
            self.assertIn(f"COMMIT /*traceparent='{traceparent(number)}'*/", texts)
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), 2)
        # The event is what was sent: the field that carried the trace is gone.
        exported = self.daemon.run("--inspect_journal=export")
        self.assertEqual(exported.returncode, 0, exported.stderr)
        events = [json.loads(line)["event"] for line in exported.stdout.splitlines()]
        self.assertEqual([set(event) for event in events], [
            {"occurredAt", "usage"}, {"occurredAt", "usage"}, {"occurredAt", "message"}])


class SlowTest(LogTest):

    settings = {"LOG_LEVEL": "info", "HOLDFAST_LOG_FORMAT": "json", "DB_SLOW_STATEMENT": "50ms"}

    def test_what_is_slow_is_named_by_its_shape_and_never_by_its_values(self):
        self.database.sql("CREATE TRIGGER slow BEFORE INSERT ON message FOR EACH ROW "
                          "SET @slept = SLEEP(0.1)")
        self.daemon.start()
        channel = self.open()
        self.write(channel, message(1, text=CANARY, ig_sender_id=f"{CANARY}-sender"),
                   [("traceparent", traceparent(0xe1))])

        def slow(sentence):
            return [line for line in self.lines() if line["msg"] == sentence]
        harness.wait_for(lambda: slow("slow batch"), "the slow batch's line")
        statement = next(line for line in slow("slow statement") if line["table"] == "message")
        self.assertEqual(statement["level"], "warning")
        self.assertEqual(statement["rows"], 1)
        self.assertGreaterEqual(statement["took_seconds"], 0.05)
        self.assertRegex(statement["shape"], r"^INSERT INTO message \(")
        self.assertEqual(statement["error_number"], 0)
        batch = next(line for line in slow("slow batch") if line["tables"] == ["message"])
        self.assertEqual(batch["level"], "warning")
        self.assertEqual(batch["traces"], [trace_id(0xe1)])
        self.assertGreaterEqual(batch["took_seconds"], 0.05)
        self.assertNotIn(CANARY, self.daemon.log.read_text())
        self.assertGreaterEqual(
            self.daemon.metrics().sum("holdfast_slow_statements_total", table="message"), 1)
        self.assertEqual(self.database.sql("SELECT text FROM message"), [(CANARY,)])


if __name__ == "__main__":
    unittest.main()
