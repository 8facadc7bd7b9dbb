"""The runbook's backups and restores on real servers: events flow, a backup is made, more events
flow, the server is destroyed and restored; what the backup lacks comes from the journals, or is
said to be missing, and can be sent again. Every row and counter is compared with what was sent."""

import re
import shutil
import subprocess
import unittest

import runbook
from runbook import Section, harness

import audit
from foreign_client import Stream, message, open_channel, usage
from frame.load import Load

TEXT = 60000  # Of a message: a hundred fill a segment.
MAKING, DUMP = "Making a backup", "Restoring a dump"


class BackupTest(runbook.RunbookTest):

    server_options = ("--log-bin=binlog", "--binlog-format=ROW", "--sync-binlog=1")

    def setUp(self):
        super().setUp()
        self.set_up_database()
        self.backup = self.folder / "backup"
        self.backup.mkdir()
        self.sent = audit.Expectation()

    def traffic(self, seed, events):
        """Events of all kinds, all committed."""
        made = subprocess.run([harness.BIN / "holdfast-traffic", f"--seed={seed}",
                               f"--events={events}", "--duplicates=2"], capture_output=True,
                              text=True, encoding="utf-8", check=True).stdout
        (self.folder / "traffic").write_text(made, "utf-8")
        self.shell(f"holdfast send --ack=committed {self.folder}/traffic")
        for line in made.splitlines():
            self.sent.add(line)

    def load(self):
        """Traffic that goes on whatever becomes of the server."""
        load = Load(self.folder, "load", 77, 1_000_000, rate=300, ack="committed")
        self.addCleanup(load.close)
        load.start(self.daemon)
        return load

    def finish(self, load):
        load.halt()
        self.assertEqual(load.finish(), 0, load.said())
        self.sent.read(load.file, load.fed)

    def run_making(self, section, having="mariadb-dump"):
        return self.shell(section.block(having), BACKUP=self.backup)

    def restore(self, block, **variables):
        return self.shell(block, BACKUP=self.backup, **variables)

    def position(self):
        return self.server.number("SELECT COALESCE(SUM(position), 0) FROM holdfast_lanes",
                                  "gateway_db")

    def move_on(self, more=300):
        """Waits for commits."""
        before = self.position()
        harness.wait_for(lambda: self.position() > before + more, "more commits")

    def lose_the_server(self):
        self.server.kill()
        self.server.empty()

    def assert_exact(self, **books):
        """All that was sent is there, once."""
        found = self.daemon.wait_drained(self.sent.accepted)
        audit.compare(self.sent, self.server)
        audit.compare_books(self.sent, found)
        audit.compare_lane_rows(found, self.server)
        for name, value in books.items():
            self.assertEqual(found[name], value, found)
        self.audit()

    def test_a_dump_made_under_traffic_is_completed_from_the_journal_on_a_new_server(self):
        making, restoring = Section(MAKING), Section(DUMP)
        self.daemon.start()
        load = self.load()
        self.move_on()
        said = self.run_making(making)
        self.assertRegex(said, r"^-- Dump completed on")
        self.move_on()
        self.lose_the_server()
        self.server.start()
        # It is there, empty, and takes no daemon in.
        harness.wait_for(lambda: "denied" in self.daemon.page("/readyz")[1],
                         "the daemon to be turned away")
        self.restore(restoring.block("accounts.sql"))
        self.move_on()
        self.finish(load)
        self.assert_exact(adjusted=0)
        self.assert_set_back(self.daemon)
        self.assert_shown(restoring.block("was left").replace("usage-", "message-"),
                          self.daemon.log.read_text())
        self.audit(restoring.block("holdfast audit"))

    def test_a_dump_is_restored_over_what_is_there_with_the_daemons_locked_out(self):
        restoring = Section(DUMP)
        self.daemon.start()
        load = self.load()
        self.move_on()
        self.run_making(Section(MAKING))
        self.move_on()
        self.server.sql("DELETE FROM usage_records; DELETE FROM holdfast_lanes", "gateway_db")
        self.sql(restoring.block("ACCOUNT LOCK"))
        restoring.block("accounts.sql")  # That is for a new server.
        self.restore(restoring.block("gateway_db.sql"))
        before = self.position()
        self.sql(restoring.block("ACCOUNT UNLOCK"))
        harness.wait_for(lambda: self.position() > before, "the daemon to write again")
        self.finish(load)
        self.assert_exact(adjusted=0)
        restoring.block("was left")
        self.audit(restoring.block("holdfast audit"))
        restoring.assert_all_used()

    def test_files_of_a_running_server_are_restored_and_completed_from_the_journal(self):
        making, restoring = Section(MAKING), Section("Restoring files")
        self.daemon.start()
        load = self.load()
        self.move_on()
        said = self.run_making(making, "mariadb-backup")
        self.assertEqual(len(re.findall(r"completed OK!$", said, re.MULTILINE)), 2, said[-1000:])
        self.move_on()
        self.server.kill()
        data = self.server.folder / "data"
        (data / "ibdata1").write_bytes(b"no more")
        self.restore(restoring.block("--copy-back"), DATADIR=data)
        self.server.start()
        self.move_on()
        self.finish(load)
        self.assert_exact(adjusted=0)
        self.assert_set_back(self.daemon)
        making.block("mariadb-dump")
        making.assert_all_used()
        restoring.assert_all_used()

    def with_a_journal_that_keeps_nothing(self):
        daemon = self.make_daemon("forgetful", HOLDFAST_JOURNAL_RETENTION="0",
                                  HOLDFAST_JOURNAL_SEGMENT_BYTES="4MiB")
        self.daemon = daemon
        daemon.start()

    def bulk(self, first, count):
        """So much that segments are full and go."""
        segments = set(self.segments())
        events = [event for number in range(first, first + count) for event in (
            usage(number), message(number, text=f"{number} " + "x" * TEXT))]
        channel = open_channel(self.daemon)
        stream = Stream(channel)
        try:
            stream.wait_welcome()
            for begin in range(0, len(events), 20):
                stream.send(begin + 1, events[begin:begin + 20])
            stream.wait_committed(len(events))
        finally:
            stream.cancel()
            channel.close()
        harness.wait_for(lambda: not segments & set(self.segments()),
                         "the journal to let go of what is delivered")

    def segments(self):
        return [path.name for path in (self.daemon.folder / "journal").glob("*.jnl")]

    def test_the_rest_of_a_dump_is_brought_in_from_binary_logs(self):
        section = Section("The rest from binary logs")
        self.with_a_journal_that_keeps_nothing()
        self.traffic(1, 500)
        dump = Section(MAKING).block("mariadb-dump").replace("--single-transaction",
                                                             "--single-transaction --master-data=2")
        self.shell(dump, BACKUP=self.backup)
        self.traffic(2, 500)
        self.server.sql("FLUSH BINARY LOGS", None)
        self.traffic(3, 500)
        logs = self.folder / "binlogs"
        logs.mkdir()
        self.server.kill()
        for log in (self.server.folder / "data").glob("binlog.0*"):
            if log.suffix[1:].isdigit():
                shutil.copy(log, logs)
        self.server.empty()
        self.server.start()
        self.restore(section.block("mariadb-binlog"), BINLOGS=logs)
        self.traffic(4, 100)
        self.assert_exact(adjusted=0)
        self.assert_set_back(self.daemon, False)
        section.assert_all_used()

    def test_what_no_journal_has_any_more_is_said_to_be_missing_and_can_be_sent_again(self):
        section = Section("A backup older than the journals")
        self.with_a_journal_that_keeps_nothing()
        self.bulk(0, 100)
        self.run_making(Section(MAKING))
        self.bulk(100, 200)
        self.lose_the_server()
        self.server.start()
        self.restore(Section(DUMP).block("accounts.sql"))
        # More comes, and all lanes find out.
        self.bulk(300, 100)
        books = self.daemon.wait_drained(800)
        self.assertGreater(books["adjusted"], 100, books)
        missing = 400 - self.server.number("SELECT COUNT(*) FROM message", "gateway_db")
        self.assertGreater(missing, 50)
        self.assertIn("adjusted", self.shell("holdfast status"))
        self.assert_shown(section.block("are missing").replace("message-", "usage-"),
                          self.daemon.log.read_text())
        self.audit()
        again = "\n".join(
            f'{{"occurredAt":"2026-03-01T00:00:00Z","message":{{"igMessageId":"mid.{number}",'
            f'"igSenderId":"sender","igRecipientId":"page","text":"{number} {"x" * TEXT}",'
            '"timestampMs":"1772323200000","conversationId":"1","direction":"DIRECTION_IN"}}'
            for number in range(400))
        (self.folder / "home/events.jsonl").write_text(again + "\n", "ascii")
        self.shell("cd; " + section.block("holdfast send"))
        self.assertEqual(self.server.number("SELECT COUNT(*) FROM message", "gateway_db"), 400)
        self.audit()
        section.assert_all_used()

    def test_a_longer_retention_is_a_setting(self):
        settings = Section("Backup and restore").settings("HOLDFAST_JOURNAL_RETENTION")
        done = self.daemon.run("--check_config", **settings)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in settings:
            self.assertIn(name, done.stdout)


if __name__ == "__main__":
    unittest.main()
