"""What an operator sees of a journal's folder, of the balance and of the events that go by: journal
ls, verify and export offline and beside a daemon; an export sent again; audit; tail."""

import json
import pathlib
import re
import subprocess
import threading
import time
import unittest

import harness
from foreign_client import Stream, message, open_channel, rate_limit, usage

# Every table that counts, in an order of its own: what must be equal as once.
TABLES = {
    "usage_records": "SELECT HEX(event_id), api_key_id, cost_micros, content_hash "
                     "FROM usage_records ORDER BY 1",
    "usage_stats": "SELECT * FROM usage_stats ORDER BY 1, 2, 3, 4",
    "message": "SELECT ig_message_id, text FROM message ORDER BY 1",
    "rate_limit_records": "SELECT identifier, window_type, request_count, window_start "
                          "FROM rate_limit_records ORDER BY 1, 2, 4",
}


class InspectTest(harness.DaemonTest):

    def holdfast(self, *arguments, daemon=None, **more):
        """Runs the tool with the daemon's environment; returns status, output, errors."""
        daemon = daemon or self.daemon
        done = subprocess.run([harness.BIN / "holdfast", *arguments],
                              env=daemon.environment(**more), capture_output=True, text=True,
                              timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr

    def journal(self, daemon=None):
        return pathlib.Path((daemon or self.daemon).settings["HOLDFAST_JOURNAL_DIR"])

    def files(self, daemon=None):
        return {path.name: path.read_bytes() for path in self.journal(daemon).iterdir()}

    def open_stream(self, daemon=None):
        channel = open_channel(daemon or self.daemon)
        self.addCleanup(channel.close)
        stream = Stream(channel)
        self.addCleanup(stream.cancel)
        stream.wait_welcome()
        return stream

    @staticmethod
    def events(count):
        """Of all kinds, hits with and without ids among them."""
        now = int(time.time())
        events = []
        for number in range(count):
            events += [usage(number, key=f"key-{number % 3}"), message(number),
                       rate_limit(f"user:{number % 5}", second=now - usage(0).occurred_at.seconds,
                                  hits=2)]
        return events

    def leave_a_backlog(self, count=40):
        """A daemon that is killed with events that its database has never seen; returns how many."""
        self.daemon.start()
        stream = self.open_stream()
        settled = self.events(5)
        stream.send(1, settled)
        stream.wait_committed(len(settled))
        self.database.kill()
        events = self.events(count)[len(settled):]
        for begin in range(0, len(events), 15):
            stream.send(len(settled) + begin + 1, events[begin:begin + 15])
            stream.wait_journaled(len(settled) + min(begin + 15, len(events)))
        self.daemon.kill()
        return len(settled), len(events)

    def tables(self):
        return {name: self.database.sql(statement) for name, statement in TABLES.items()}

    def test_a_folder_is_shown_offline_and_nothing_in_it_changes(self):
        settled, pending = self.leave_a_backlog()
        before = self.files()
        code, listed, said = self.holdfast("journal", "ls")
        self.assertEqual(code, 0, said)
        self.assertIn(f"Events       {settled + pending} held", listed)
        self.assertIn("Undelivered  at most", listed)
        self.assertRegex(listed, rf"[0-9a-f]{{16}}\.jnl .* 1-{settled + pending} ")
        self.assertNotIn("A daemon is at work", listed)

        code, verified, said = self.holdfast("journal", "verify")
        self.assertIn(code, (0, 1), said + verified)  # A torn tail is no loss.
        self.assertIn(f"with {settled + pending} events", verified)
        self.assertEqual(self.files(), before)

        # Without its database nobody knows what is pending, and it says what that takes.
        code, _, said = self.holdfast("journal", "export", "--pending_only",
                                      "--", "--db_connect_timeout=1s", "--db_pool_timeout=1s")
        self.assertEqual(code, 69, said)
        self.assertIn("holdfast_lanes", said)
        self.database.start()
        code, listed, said = self.holdfast("journal", "ls", "--database")
        self.assertEqual(code, 0, said)
        self.assertIn(f"Undelivered  {pending}, by the positions", listed)
        self.assertEqual(self.files(), before)

    def test_an_export_that_is_sent_again_counts_once(self):
        settled, pending = self.leave_a_backlog()
        self.database.start()
        code, lines, said = self.holdfast("journal", "export")
        self.assertEqual(code, 0, said)
        everything = [json.loads(line) for line in lines.splitlines()]
        self.assertEqual(len(everything), settled + pending)
        self.assertEqual([int(line["offset"]) for line in everything],
                         list(range(1, settled + pending + 1)))
        code, lines, said = self.holdfast("journal", "export", "--kind=message", "--to_offset=9")
        self.assertEqual([line["event"]["message"]["igMessageId"]
                          for line in map(json.loads, lines.splitlines())],
                         ["mid.0", "mid.1", "mid.2"])

        code, lines, said = self.holdfast("journal", "export", "--pending_only")
        self.assertEqual(code, 0, said)
        self.assertEqual(len(lines.splitlines()), pending)
        self.assertIn("start no daemon on this folder", said)
        (self.folder / "pending").write_text(lines)
        (self.folder / "everything").write_text(
            "\n".join(json.dumps(line) for line in everything))

        # Through another daemon: first all that is known for certain, then what is pending, twice.
        other = self.make_daemon("b")
        other.start()
        code, sent, said = self.holdfast("send", f"--to={other.target}", "--ack=committed",
                                         str(self.folder / "everything"))
        self.assertEqual(code, 1, sent + said)  # Hits without an id are held back.
        self.assertIn(f"held back         {(settled + pending) // 3}", sent)
        for _ in range(2):
            code, sent, said = self.holdfast("send", f"--to={other.target}", "--ack=committed",
                                             str(self.folder / "pending"))
            self.assertEqual(code, 0, sent + said)
        other.wait_drained()
        self.assertEqual(other.terminate(), 0)
        found = self.tables()

        # What the first daemon would have made of them, on a database of its own.
        self.database.sql("DROP DATABASE holdfast", None)
        self.daemon.migrate()
        self.daemon.start()
        self.daemon.wait_drained(settled + pending)
        self.assertEqual(found, self.tables())

    def test_a_flipped_byte_is_found_with_its_range_and_the_start_reports_the_same(self):
        settled, pending = self.leave_a_backlog()
        segment = sorted(self.journal().glob("*.jnl"))[-1]
        content = bytearray(segment.read_bytes())
        place = content.index(b"mid.20")
        content[place] ^= 0x20
        segment.write_bytes(bytes(content))
        code, verified, said = self.holdfast("journal", "verify")
        self.assertEqual(code, 2, said)
        damage = re.search(rf"CORRUPT    {segment.name} bytes (\d+) to (\d+): .* offsets (\d+) to "
                           r"(\d+) \((\d+)\)", verified)
        self.assertTrue(damage, verified)
        first_byte, end_byte, first_offset, last_offset, count = map(int, damage.groups())
        self.assertLessEqual(first_byte, place)
        self.assertLess(place, end_byte)
        self.assertEqual(count, 15)  # One group.
        code, lines, said = self.holdfast("journal", "export")
        self.assertEqual(code, 2)
        self.assertIn(f"{segment.name} bytes {first_byte} to {end_byte}", said)
        exported = {int(json.loads(line)["offset"]) for line in lines.splitlines()}
        self.assertEqual(set(range(1, settled + pending + 1)) - exported,
                         set(range(first_offset, last_offset + 1)))

        self.daemon.start(ready=False)
        log = self.daemon.log.read_text()
        for value in (f"first_byte={first_byte}", f"end_byte={end_byte}",
                      f"first_offset_lost={first_offset}", f"end_offset_lost={last_offset + 1}"):
            self.assertRegex(log, rf"\b{value}\b")
        self.database.start()
        books = self.daemon.wait_drained()
        self.assertEqual(books["adjusted"], count)

    def test_beside_a_daemon_under_traffic_the_folder_is_whole_and_untouched(self):
        self.daemon.start()
        stream = self.open_stream()
        stop = threading.Event()
        sent = [0]

        def send():
            while not stop.is_set():
                stream.send(sent[0] + 1, [usage(number) for number in
                                          range(sent[0], sent[0] + 50)])
                sent[0] += 50
                stream.wait_journaled(sent[0])
        sender = threading.Thread(target=send)
        sender.start()
        try:
            for _ in range(5):
                code, verified, said = self.holdfast("journal", "verify")
                self.assertEqual(code, 0, said + verified)
                self.assertIn("A daemon is at work on it", verified)
                code, lines, said = self.holdfast("journal", "export", "--pending_only",
                                                  f"--from_offset={max(sent[0], 1)}")
                self.assertEqual(code, 0, said)
                self.assertIn("may be in flight", said)
                # Nothing is certain to be pending while somebody delivers it.
                self.assertNotIn("DELIVERY_PENDING", lines)
        finally:
            stop.set()
            sender.join()
        stream.wait_committed(sent[0])
        self.assert_books(self.daemon, accepted=sent[0], committed=sent[0])

    def audit(self, *arguments):
        code, report, said = self.holdfast("audit", f"--to={self.daemon.target}", *arguments)
        return code, report + said

    def test_an_audit_is_clean_until_somebody_alters_the_tables_by_hand(self):
        self.daemon.start()
        stream = self.open_stream()
        events = self.events(30)
        stream.send(1, events)
        stream.wait_committed(len(events))
        for since in ("24h", "2026-01-01T00:00:00Z", "all"):
            code, report = self.audit(f"--since={since}")
            self.assertEqual(code, 0, report)
            self.assertIn("The balance holds", report)

        tampering = [
            ("UPDATE usage_records SET cost_micros = cost_micros + 7 WHERE api_key_id = 'key-1' "
             "LIMIT 1", "api_key_id key-1", "cost_micros"),
            ("DELETE FROM usage_records WHERE api_key_id = 'key-2' LIMIT 1", "api_key_id key-2",
             "requests"),
            ("INSERT INTO usage_records SELECT UNHEX(LEFT(SHA2('doubled', 256), 32)), "
             "event_id_text, api_key_id, account_id, account_type, model, request_id, endpoint, "
             "method, status_code, stream, "
             "duration_ms, input_tokens, output_tokens, cache_create_tokens, cache_read_tokens, "
             "ephemeral_5m_tokens, ephemeral_1h_tokens, long_context, cost_micros, "
             "real_cost_micros, occurred_at, content_hash, batch_tag FROM usage_records "
             "WHERE api_key_id = 'key-0' LIMIT 1", "api_key_id key-0", "requests"),
            ("DELETE FROM usage_stats WHERE api_key_id = 'key-1'", "api_key_id key-1", "row: 0"),
            ("DELETE FROM message LIMIT 1", "message", "rows: 29, must be 30"),
            ("UPDATE holdfast_lanes SET committed = committed + 1 WHERE lane = 'message-0'",
             "holdfast_lanes: message-0", "committed"),
        ]
        for statement, place, what in tampering:
            kept = {name: self.database.sql(f"CREATE TABLE kept_{name} AS SELECT * FROM {name}")
                    for name in ("usage_records", "usage_stats", "message", "holdfast_lanes")}
            self.database.sql(statement)
            code, report = self.audit("--since=all")
            self.assertEqual(code, 1, f"{statement}: {report}")
            named = [part for part in report.split("DIFFERS") if place in part and what in part]
            self.assertTrue(named, f"{statement}: {report}")
            for name in kept:
                self.database.sql(f"START TRANSACTION; DELETE FROM {name}; INSERT INTO {name} "
                                  f"SELECT * FROM kept_{name}; COMMIT; DROP TABLE kept_{name}")
        code, report = self.audit("--since=all")
        self.assertEqual(code, 0, report)

        # What lies before --since is not looked at, and no audit is empty for want of a database.
        self.database.sql("UPDATE usage_records SET cost_micros = cost_micros + 1 LIMIT 1")
        code, report = self.audit("--since=1s")
        self.assertEqual(code, 0, report)
        self.database.stop()
        code, report = self.audit("--timeout=20s")
        self.assertEqual(code, 75, report)
        self.assertIn("cannot be audited", report)

    def test_an_audit_beside_traffic_accuses_nobody(self):
        self.daemon.start()
        stream = self.open_stream()
        stop = threading.Event()
        sent = [0]

        def send():
            while not stop.is_set():
                stream.send(sent[0] + 1, [usage(number, key=f"key-{number % 7}") for number in
                                          range(sent[0], sent[0] + 100)])
                sent[0] += 100
                stream.wait_committed(sent[0])
        sender = threading.Thread(target=send)
        sender.start()
        try:
            for _ in range(5):
                code, report = self.audit("--since=all")
                self.assertEqual(code, 0, report)
        finally:
            stop.set()
            sender.join()

    def test_tail_shows_a_sample_with_outcomes_and_content_only_when_asked(self):
        self.daemon.start()
        stream = self.open_stream()
        shown = {}

        def watch(name, *arguments):
            shown[name] = self.holdfast("tail", f"--to={self.daemon.target}", *arguments)
        watchers = [threading.Thread(target=watch, args=arguments) for arguments in (
            ("plain", "--count=30", "--rate=10"), ("content", "--count=5", "--show_content"),
            ("json", "--count=5", "--json", "--kind=message"))]
        for watcher in watchers:
            watcher.start()
        sent = 0
        while any(watcher.is_alive() for watcher in watchers):
            events = self.events(10) + [usage(sent, key="")]  # The last one is refused.
            stream.send(sent + 1, events)
            sent += len(events)
            stream.wait_journaled(sent)
        code, plain, said = shown["plain"]
        self.assertEqual(code, 0, said)
        self.assertEqual(len(plain.splitlines()), 30, plain)
        self.assertRegex(plain, r"usage-\d .* \d+ B  age .* committed after \d+\.\dms")
        self.assertNotIn("key-1", plain)
        self.assertRegex(said, r"\.\.\. \d+ more were not shown \(at most 10 a second")
        code, content, said = shown["content"]
        self.assertEqual(code, 0, said)
        self.assertIn('"occurredAt"', content)
        code, lines, said = shown["json"]
        self.assertEqual(code, 0, said)
        self.assertEqual({json.loads(line)["kind"] for line in lines.splitlines()}, {"message"})

        # With nobody at the other end the daemon ends as it should.
        code, _, said = self.holdfast("tail", f"--to={self.daemon.target}.nowhere", "--count=1")
        self.assertEqual(code, 69, said)
        stream.wait_committed(sent)
        watcher = threading.Thread(target=watch, args=("drain",))
        watcher.start()
        self.assertEqual(self.daemon.terminate(), 0)
        watcher.join(60)
        self.assertFalse(watcher.is_alive())


if __name__ == "__main__":
    unittest.main()
