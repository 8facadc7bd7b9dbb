"""How the daemon ends, and with which status."""

import os
import re
import signal
import threading
import unittest

import harness
from foreign_client import Stream, grpc, ingest_pb2, open_channel, usage

DRAINED, USAGE, DATABASE, JOURNAL, EVENTS_LEFT, CONFIGURATION = 0, 64, 69, 74, 75, 78


class DrainTest(harness.DaemonTest):

    def open_stream(self, producer=None, level=ingest_pb2.ACK_LEVEL_JOURNALED):
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        stream = Stream(channel, producer, level)
        self.addCleanup(stream.cancel)
        stream.wait_welcome()
        return stream

    def stream_until_it_ends(self, stream, batches):
        """Sends batches of 100 as fast as they are journaled, until the stream ends."""
        batch = 0
        while stream.end is None and batch < batches:
            first = batch * 100 + 1
            stream.send(first, [usage(number) for number in range(first, first + 100)])
            batch += 1
            try:
                stream.wait_journaled(first + 99)
            except AssertionError:
                break

    def test_sigterm_while_streaming_drains_and_ends_with_0(self):
        self.daemon.start()
        stream = self.open_stream()
        sender = threading.Thread(target=self.stream_until_it_ends, args=(stream, 100000))
        sender.start()
        stream.wait_journaled(500)
        self.assertEqual(self.daemon.terminate(), DRAINED, self.daemon.log_tail())
        code, _, _ = stream.wait_end()
        sender.join(harness.PATIENCE)
        self.assertEqual(code, grpc.StatusCode.UNAVAILABLE)
        rows = self.database.number("SELECT COUNT(*) FROM usage_records")
        self.assertGreaterEqual(rows, stream.journaled)

        self.daemon.start()
        again = self.open_stream(stream.producer)
        self.assertEqual(again.welcome.resume_after, rows)
        self.assert_books(self.daemon, accepted=rows, committed=rows)

    def test_sigterm_with_the_database_away_ends_with_75_and_keeps_the_events(self):
        self.daemon.settings["HOLDFAST_DRAIN_TIMEOUT"] = "1"
        self.daemon.start()
        self.database.stop()
        stream = self.open_stream()
        stream.send(1, [usage(number) for number in range(1, 501)])
        stream.wait_journaled(500)
        self.assertEqual(self.daemon.terminate(), EVENTS_LEFT, self.daemon.log_tail())
        self.database.start()
        self.daemon.start()
        self.assert_books(self.daemon, accepted=500, committed=500)
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), 500)

    def test_a_second_signal_ends_at_once_and_keeps_the_events(self):
        self.daemon.settings["HOLDFAST_DRAIN_TIMEOUT"] = "600"
        self.daemon.start()
        self.database.stop()
        stream = self.open_stream()
        stream.send(1, [usage(number) for number in range(1, 101)])
        stream.wait_journaled(100)
        self.daemon.process.send_signal(signal.SIGTERM)
        harness.wait_for(lambda: self.daemon.metrics().sum("holdfast_draining") == 1,
                         "the drain to begin")
        self.assertEqual(self.daemon.terminate(), EVENTS_LEFT, self.daemon.log_tail())
        self.database.start()
        self.daemon.settings["HOLDFAST_DRAIN_TIMEOUT"] = "10"
        self.daemon.start()
        self.assert_books(self.daemon, accepted=100, committed=100)

    def test_a_second_daemon_on_one_journal_is_turned_away_with_74(self):
        self.daemon.start()
        done = self.daemon.run(HOLDFAST_LISTEN=f"unix:{self.daemon.folder}/other",
                               HOLDFAST_ADMIN_LISTEN=f"127.0.0.1:{harness.free_port()}")
        self.assertEqual(done.returncode, JOURNAL, done.stderr)
        stream = self.open_stream(level=ingest_pb2.ACK_LEVEL_COMMITTED)
        stream.send(1, [usage(1)])
        stream.wait_committed(1)

    def test_a_second_migration_changes_nothing(self):
        tables = "SELECT table_name, create_time FROM information_schema.tables " \
                 "WHERE table_schema = 'holdfast' AND table_type = 'BASE TABLE' ORDER BY 1"
        before = self.database.sql(tables)
        self.daemon.migrate()
        self.assertEqual(self.database.sql(tables), before)
        self.assertGreaterEqual(len(before), 7)

    def test_no_secret_stands_in_the_log_or_on_a_page(self):
        self.database.sql("CREATE USER gate IDENTIFIED BY 'very-secret'; "
                          "GRANT SELECT, INSERT, UPDATE, DELETE ON holdfast.* TO gate")
        secret = self.daemon.folder / "password"
        secret.write_text("very-secret\n")
        os.chmod(secret, 0o600)
        self.daemon.settings.update(MYSQL_USER="gate", MYSQL_PASSWORD_FILE=str(secret))
        self.daemon.start()
        stream = self.open_stream(level=ingest_pb2.ACK_LEVEL_COMMITTED)
        stream.send(1, [usage(1, api_key_id="private-key")])
        stream.wait_committed(1)
        shown = self.daemon.log.read_text() + "".join(
            self.daemon.page(page)[1] for page in ("/", "/metrics", "/api/v1/status", "/readyz"))
        self.assertNotIn("very-secret", shown)
        self.assertNotIn("private-key", shown)


class RefusalTest(unittest.TestCase):
    """What needs no database: the daemon ends before it has done anything."""

    def setUp(self):
        folder = harness.Folder()
        self.addCleanup(folder.remove)
        self.daemon = harness.Daemon(folder.path, None)

    def test_a_configuration_is_checked_printed_and_its_secrets_masked(self):
        done = self.daemon.run("--check_config", MYSQL_PASSWORD="very-secret", DB_POOL_SIZE=7)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("very-secret", done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?i)db_pool_size\b.*\b7\b")

    def test_a_bad_value_ends_with_78_and_names_its_setting(self):
        for name, value in (("DB_POOL_SIZE", "many"), ("DB_POOL_SIZE", "-1"),
                            ("STATS_UTC_OFFSET", "late"), ("HOLDFAST_LISTEN", "tcp://nowhere"),
                            ("LOG_LEVEL", "loud"), ("HOLDFAST_JOURNAL_MAX_BYTES", "1")):
            done = self.daemon.run("--check_config", **{name: value})
            self.assertEqual(done.returncode, CONFIGURATION, (name, value, done.stderr))
            self.assertIn(name, (done.stdout + done.stderr).upper(), (name, value))

    def test_the_readme_names_every_setting_with_its_default(self):
        asked = self.daemon.run("--help")
        self.assertEqual(asked.returncode, 0)
        known = re.findall(r"^  ([A-Z_]{4,})(?:  \((.*)\))?$", asked.stdout, re.MULTILINE)
        told = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)`)? *\|", (harness.ROOT / "README.md")
                          .read_text(encoding="utf-8"), re.MULTILINE)
        self.assertGreater(len(known), 30)
        self.assertEqual(told, known)

    def test_an_unknown_flag_ends_with_64(self):
        self.assertEqual(self.daemon.run("--no_such_flag").returncode, USAGE)

    def test_a_setting_of_ours_that_does_not_exist_is_not_ignored(self):
        done = self.daemon.run("--check_config", HOLDFAST_JURNAL_DIR="/tmp")
        self.assertEqual(done.returncode, CONFIGURATION)
        self.assertIn("HOLDFAST_JURNAL_DIR", done.stderr)

    def test_a_migration_without_its_database_ends_with_69(self):
        done = self.daemon.run("--migrate")
        self.assertEqual(done.returncode, DATABASE, done.stderr)
        self.assertIn(self.daemon.settings["MYSQL_SOCKET"], done.stderr)

    def test_a_journal_folder_that_cannot_be_made_ends_with_74(self):
        blocked = self.daemon.folder / "file"
        blocked.write_text("in the way")
        done = self.daemon.run(HOLDFAST_JOURNAL_DIR=blocked / "journal")
        self.assertEqual(done.returncode, JOURNAL, done.stderr)
        self.assertIn(str(blocked), done.stderr)


if __name__ == "__main__":
    unittest.main()
