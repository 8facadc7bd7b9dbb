"""Marked secrets and marked events, through everything that goes wrong: none is found again outside
the journal and the database."""

import os
import pathlib
import shutil
import signal
import subprocess
import unittest
import uuid

import hostile  # First: it says where harness is.
import harness
from certificates import Authority
from hostile import ingest_pb2, ingest_pb2_grpc, usage
from foreign_client import message, rate_limit

JOURNALED = ingest_pb2.ACK_LEVEL_JOURNALED
COMMITTED = ingest_pb2.ACK_LEVEL_COMMITTED

# No word of ours, and every one another.
PASSWORD = "Canary" + uuid.uuid4().hex
WRONG_PASSWORD = "Canary" + uuid.uuid4().hex
FILE_PASSWORD = "Canary" + uuid.uuid4().hex
CONTENT = "Canary" + uuid.uuid4().hex
PAGES = ("/", "/api/v1/status", "/metrics", "/livez", "/readyz", "/nothing")


def marked(number):
    """An event of each kind, with the mark in every text."""
    def mark(field):
        return f"{CONTENT}-{field}-{number}"
    return [
        usage(number, key=mark("key"), account_id=mark("a"), account_type=CONTENT[:30],
              model=mark("model"), request_id=mark("request"), endpoint=mark("endpoint"),
              event_id=mark("id")),
        message(number, ig_message_id=mark("id"), ig_sender_id=mark("sender"),
                text=mark("text"), raw_json=f'{{"a":"{CONTENT}"}}', sender_username=mark("name")),
        rate_limit(identifier=mark("identifier"), route_path=mark("route"), hits=1),
    ]


class SecretsTest(unittest.TestCase):

    def setUp(self):
        folder = harness.Folder()
        self.addCleanup(folder.remove)
        self.folder = folder.path
        self.database = harness.Database(self.folder)
        self.addCleanup(self.database.stop)
        self.database.start()
        self.database.sql("CREATE DATABASE holdfast; CREATE USER 'marked'@'localhost' IDENTIFIED "
                          f"BY '{PASSWORD}'; GRANT ALL ON holdfast.* TO 'marked'@'localhost'", None)
        self.heard = []  # What was said by programs that have ended.
        self.seen = []   # What pages have shown.

    def daemon(self, name, **settings):
        settings = {"MYSQL_USER": "marked", "MYSQL_PASSWORD": PASSWORD, "LOG_LEVEL": "debug",
                    **settings}
        daemon = harness.Daemon(self.folder, self.database, name, **settings)
        self.addCleanup(daemon.stop)
        return daemon

    def run_once(self, daemon, *arguments, **settings):
        done = daemon.run(*arguments, **settings)
        self.heard += [done.stdout, done.stderr]
        return done

    def look(self, daemon):
        """At all that the daemon shows while it runs."""
        for page in PAGES:
            self.seen.append(daemon.page(page)[1])
        process = pathlib.Path(f"/proc/{daemon.process.pid}")
        self.seen.append((process / "cmdline").read_text("utf-8", errors="replace"))
        for thread in (process / "task").iterdir():
            self.seen.append((thread / "comm").read_text("utf-8", errors="replace"))
        limits = (process / "limits").read_text("ascii")
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        self.assertEqual(core.split()[4:6], ["0", "0"], "no core file")

    def send(self, daemon, events, wait_for):
        """The answers, or the error's text."""
        channel = hostile.open_channel(daemon)
        try:
            answer = ingest_pb2_grpc.IngestServiceStub(channel).Write(ingest_pb2.WriteRequest(
                wait_for=wait_for, batch=ingest_pb2.EventBatch(events=events)), timeout=60,
                wait_for_ready=True)
            return answer.results
        finally:
            channel.close()

    # --- what goes wrong ---

    def provoke_configuration(self):
        daemon = self.daemon("configuration")
        for settings in ({"MYSQL_PASSWORD": PASSWORD + "\x01"}, {"DB_POOL_SIZE": "many"},
                         {"HOLDFAST_LISTEN": "nowhere"}):
            self.assertEqual(self.run_once(daemon, **settings).returncode, 78)
        self.assertEqual(self.run_once(daemon, "--check_config").returncode, 0)
        self.run_once(daemon, "--check_config", f"--mysql_password={WRONG_PASSWORD}")
        self.assertNotEqual(
            self.run_once(daemon, "--migrate", MYSQL_PASSWORD=WRONG_PASSWORD).returncode, 0)
        self.assertEqual(self.run_once(daemon, "--migrate").returncode, 0)

    def provoke_refused_logins(self):
        secret = self.folder / "password"
        secret.write_text(FILE_PASSWORD, "utf-8")
        for name, settings in (
                ("wrong", {"MYSQL_PASSWORD": WRONG_PASSWORD}),
                ("file", {"MYSQL_PASSWORD": "", "MYSQL_PASSWORD_FILE": secret})):
            daemon = self.daemon(name, **settings)
            daemon.start(ready=False)
            self.send(daemon, marked(name), JOURNALED)
            harness.wait_for(lambda d=daemon: "denied" in d.log.read_text(errors="replace"),
                             "the login to be refused")
            self.look(daemon)
            daemon.process.send_signal(signal.SIGTERM)
            daemon.process.send_signal(signal.SIGTERM)
            daemon.process.wait(60)
        secret.unlink()

    def provoke_statements(self):
        """Refused events, rows that the database refuses, conflicts, a table that is away, a key
        that is there twice."""
        daemon = self.daemon("statements")
        daemon.start()
        self.send(daemon, marked(1), COMMITTED)
        bad = marked(2)
        bad[0].usage.method = CONTENT * 3
        bad[1].message.direction = 9
        bad[2].rate_limit.route_path = CONTENT * 30
        refusals = self.send(daemon, bad, COMMITTED)
        self.assertEqual({result.outcome for result in refusals}, {ingest_pb2.OUTCOME_REFUSED})
        self.heard += [result.reason for result in refusals]

        conflicting = marked(1)[:1]
        conflicting[0].usage.cost_micros = 77
        self.send(daemon, conflicting, COMMITTED)
        self.database.sql("DELETE FROM message; "
                          "ALTER TABLE message MODIFY text VARCHAR(5) CHARACTER SET latin1")
        self.send(daemon, marked(3) + [message("wide", text=f"\U0001f600{CONTENT}")], COMMITTED)
        self.database.sql("ALTER TABLE message ADD UNIQUE KEY one_name (sender_username)")
        twice = [message(f"twice {n}", text="", sender_username=CONTENT) for n in range(2)]
        self.send(daemon, twice, COMMITTED)
        self.assertGreaterEqual(
            self.database.number("SELECT COUNT(*) FROM holdfast_quarantine"), 3)
        self.database.sql("RENAME TABLE usage_stats TO usage_stats_away")
        self.send(daemon, marked(4), JOURNALED)
        harness.wait_for(lambda: "usage_stats" in daemon.page("/api/v1/status")[1],
                         "the lane to stop")
        self.look(daemon)
        self.database.sql("RENAME TABLE usage_stats_away TO usage_stats")
        daemon.wait_drained()
        self.look(daemon)
        return daemon

    def provoke_crash(self, daemon):
        daemon.process.send_signal(signal.SIGABRT)
        daemon.process.wait()
        daemon.start()
        self.send(daemon, marked(5), COMMITTED)
        daemon.kill()
        # A journal that is damaged, too: what is set aside stays in its folder.
        segment = sorted((daemon.folder / "journal").glob("*.jnl"))[0]
        with open(segment, "r+b") as file:
            content = file.read()
            place = content.find(CONTENT.encode())
            self.assertGreater(place, 0, "the journal holds events")
            file.seek(place)
            file.write(b"damaged!")
        daemon.start()
        self.look(daemon)
        self.assertIn(daemon.terminate(), (0, 74, 75))

    def provoke_certificates(self):
        authority = Authority(self.folder, "authority")
        chain, key = authority.issue("server", "serverAuth", ["IP:127.0.0.1"])
        inside = "".join(key.read_text("ascii").splitlines()[1:-1])
        used = self.folder / "key-in-use"
        shutil.copy(key, used)
        port = harness.free_port()
        daemon = self.daemon("certificates", HOLDFAST_LISTEN=f"127.0.0.1:{port}",
                             HOLDFAST_TLS_CERT_FILE=chain, HOLDFAST_TLS_KEY_FILE=used,
                             HOLDFAST_TLS_CLIENT_CA_FILE=authority.file)
        daemon.start()
        used.write_text(key.read_text("ascii").replace("MIG", "MIX"), "ascii")

        def reported():
            harness.socket.create_connection(("127.0.0.1", port)).close()
            return daemon.log_lines("error")
        harness.wait_for(reported, "the damaged key to be reported", interval=0.3)
        self.look(daemon)
        self.assertEqual(self.run_once(daemon, "--check_config").returncode, 78)
        daemon.kill()
        used.unlink()
        shutil.rmtree(authority.folder)
        return [inside[at:at + 24] for at in range(0, len(inside) - 24, 24)]

    def test_no_secret_and_no_content_is_found_outside_the_journal_and_the_database(self):
        self.provoke_configuration()
        self.provoke_refused_logins()
        self.provoke_crash(self.provoke_statements())
        marks = [PASSWORD, WRONG_PASSWORD, FILE_PASSWORD, CONTENT]
        marks += self.provoke_certificates()
        forms = [form for mark in marks for form in (mark, mark.encode().hex(),
                                                     mark.encode().hex().upper())]
        for place, text in [("a program's words", text) for text in self.heard] \
                + [("a page", text) for text in self.seen]:
            self.assert_clean(place, text, forms)
        looked_at = 0
        for path in self.folder.rglob("*"):
            if "mariadb" in path.parts or "journal" in path.parts or not path.is_file():
                continue
            looked_at += 1
            self.assert_clean(str(path), path.read_bytes().decode("utf-8", errors="replace"), forms)
        self.assertGreaterEqual(looked_at, 4, "the logs at least")
        names = " ".join(str(path) for path in self.folder.rglob("*"))
        self.assert_clean("a file's name", names, forms)

    def assert_clean(self, place, text, forms):
        for form in forms:
            if form in text:
                at = text.index(form)
                self.fail(f"{place} holds what it should not: {text[max(0, at - 300):at + 60]!r}")

    @unittest.skipUnless(os.geteuid() == 0, "needs root to be another user")
    def test_nobody_of_its_own_user_may_look_into_the_process(self):
        """Neither its environment nor its memory: the password is there."""
        place = self.folder / "other"
        place.mkdir()
        for path in (self.folder, place):
            os.chmod(path, 0o755)
        os.chown(place, 12345, 12345)
        environment = harness.Daemon(place, None, "x").environment(
            MYSQL_PASSWORD=PASSWORD, HOLDFAST_LISTEN=f"unix:{place}/s",
            HOLDFAST_JOURNAL_DIR=place / "journal")
        program = place / "holdfastd"
        shutil.copy(harness.BIN / "holdfastd", program)
        with open(place / "log", "ab") as log:
            process = subprocess.Popen([program], env=environment, stdout=log, stderr=log,
                                       user=12345, group=12345, extra_groups=[])
        self.addCleanup(harness.end_process, process)
        harness.wait_for(lambda: "listen=unix" in (place / "log").read_text(errors="replace"),
                         "the daemon to be ready")
        for name in ("environ", "mem", "maps"):
            done = subprocess.run(["cat", f"/proc/{process.pid}/{name}"], user=12345, group=12345,
                                  extra_groups=[], capture_output=True, check=False)
            self.assertNotEqual(done.returncode, 0, name)
            self.assertNotIn(PASSWORD.encode(), done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
