"""The runbook's rotations without a restart: the database's password, with and without a time in
which both hold, and the certificates that gateways connect with."""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import uuid

import runbook
from runbook import Section, harness

from foreign_client import Stream, grpc, ingest_pb2, ingest_pb2_grpc, open_channel, usage

sys.path.insert(0, str(runbook.ROOT / "tests/hostile"))
from certificates import Authority  # noqa: E402  pylint: disable=wrong-import-position

OVERLAP, PASSWORDS = "While both passwords hold", "Without an overlap"


class PasswordTest(runbook.RunbookTest):

    def setUp(self):
        super().setUp()
        self.set_up_database()
        self.daemon.start()
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        self.stream = Stream(channel)
        self.addCleanup(self.stream.cancel)
        self.stream.wait_welcome()
        self.sent = 0

    def send(self, journaled_only=False):
        self.stream.send(self.sent + 1, [usage(number) for number in
                                         range(self.sent, self.sent + 10)])
        self.sent += 10
        if journaled_only:
            self.stream.wait_journaled(self.sent)
        else:
            self.stream.wait_committed(self.sent)

    def connections(self):
        """The ids of the account's connections."""
        return {row[0] for row in self.server.sql(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'holdfast'", None)}

    def end_connections(self, block):
        """Ends all of the account, and waits for others."""
        before = self.connections()
        self.sql(block)
        self.send()
        harness.wait_for(lambda: self.connections() - before and not self.connections() & before,
                         "the daemon to log in anew")

    def doctor(self, block):
        # 1: that the server of a test is not durable, and the like.
        said = self.shell(f"{block.strip()} || [ $? = 1 ]")
        self.assertRegex(said, r"(?m)^ok +login ")

    def test_with_both_passwords_for_a_while_nobody_is_turned_away(self):
        page = Section(OVERLAP)
        self.sql(page.block("VIA mysql_native_password"))
        self.end_connections(page.block("KILL USER"))  # The old one still holds.
        mode = self.password_file.stat().st_mode
        self.shell(page.block("PASSWORD_FILE"), PASSWORD_FILE=self.password_file)
        self.assertEqual(self.password_file.read_text("ascii"), "NEW\n")
        self.assertEqual(self.password_file.stat().st_mode, mode)
        self.end_connections(page.block("KILL USER"))
        self.doctor(page.block("holdfast doctor"))
        self.sql("ALTER USER 'holdfast'@'%' IDENTIFIED BY 'NEW';")
        self.assertEqual(page.block("IDENTIFIED BY 'NEW';\n").strip(),
                         "ALTER USER 'holdfast'@'%' IDENTIFIED BY 'NEW';")
        self.end_connections(page.block("KILL USER"))
        self.doctor(page.block("holdfast doctor"))
        self.assertNotIn("denied", self.daemon.log.read_text())
        # The old one is gone.
        self.password_file.write_text("OLD", "ascii")
        self.sql(page.block("KILL USER"))
        harness.wait_for(lambda: "denied" in self.daemon.page("/readyz")[1],
                         "the old one to be refused")

    def test_without_an_overlap_events_wait_in_the_journal_for_the_new_password(self):
        page = Section(PASSWORDS)
        self.send()
        self.sql(page.block("ALTER USER"))
        self.send()  # Who is in stays in.
        self.sql("KILL USER holdfast")
        harness.wait_for(lambda: "denied" in self.daemon.page("/readyz")[1],
                         "the daemon to be turned away")
        shown = page.block("access denied")
        self.assert_shown(shown, self.daemon.page("/readyz")[1])
        self.send(journaled_only=True)
        self.assertIn("1045", self.shell("holdfast doctor --no_write", expect=2))
        self.shell(Section(OVERLAP).block("PASSWORD_FILE"), PASSWORD_FILE=self.password_file)
        self.stream.wait_committed(self.sent)
        self.doctor("holdfast doctor")
        page.assert_all_used()


class MySqlTest(unittest.TestCase):
    """What the page says of MySQL, on the real one that tests/run --mysql starts."""

    def setUp(self):
        self.socket = os.environ.get("HOLDFAST_TEST_MYSQL_SOCKET", "")
        if not self.socket or "MariaDB" in self.sql("SELECT VERSION()"):
            self.skipTest("needs a real MySQL: tests/run --mysql")
        folder = harness.Folder()
        self.addCleanup(folder.remove)
        self.password_file = folder.path / "password"
        self.password_file.write_text("OLD\n", "ascii")
        self.addCleanup(self.sql, "DROP USER IF EXISTS 'holdfast'@'%'; "
                        "DROP DATABASE IF EXISTS gateway_db")
        self.sql("CREATE DATABASE gateway_db; CREATE USER 'holdfast'@'%' IDENTIFIED BY 'OLD';"
                 "GRANT ALL ON gateway_db.* TO 'holdfast'@'%'")
        self.daemon = harness.Daemon(
            folder.path, None, schema="gateway_db", MYSQL_SOCKET="",
            MYSQL_HOST=f"127.0.0.1:{os.environ['HOLDFAST_TEST_MYSQL_PORT']}",
            MYSQL_USER="holdfast", MYSQL_PASSWORD_FILE=self.password_file,
            MYSQL_SSL_MODE="required", **runbook.QUICK)
        self.addCleanup(self.daemon.stop)
        migrated = self.daemon.run("--migrate")
        self.assertEqual(migrated.returncode, 0, migrated.stderr)
        self.daemon.start()

    def sql(self, statement):
        done = subprocess.run(
            ["mariadb", "--no-defaults", "--batch", "--skip-column-names", "--user=root",
             f"--socket={self.socket}"], input=statement, capture_output=True, text=True,
            check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def end_connections(self, page):
        kills = self.sql(page.block("CONCAT('KILL '"))
        self.assertIn("KILL", kills)
        self.sql(kills)
        harness.wait_for(
            lambda: (now := self.sql(page.block("CONCAT('KILL '"))) and not set(
                now.splitlines()) & set(kills.splitlines()), "the daemon to log in anew")
        harness.wait_for(lambda: not self.daemon.status().get("missing"), "all lanes to be seated")

    def test_with_both_passwords_for_a_while_nobody_is_turned_away(self):
        page = Section(OVERLAP)
        self.sql(page.block("RETAIN CURRENT PASSWORD"))
        self.end_connections(page)
        subprocess.run(["bash", "-euc", page.block("PASSWORD_FILE")], check=True,
                       env={**os.environ, "PASSWORD_FILE": str(self.password_file)})
        self.end_connections(page)
        self.sql(page.block("DISCARD OLD PASSWORD"))
        self.end_connections(page)
        self.assertNotIn("denied", self.daemon.log.read_text())


    def test_who_holds_the_lock_that_is_waited_for_is_seen(self):
        page = Section("HoldfastLockWaits")
        blocker = harness.Session(["mariadb", "--no-defaults", "--batch", "--skip-column-names",
                                   "--user=root", f"--socket={self.socket}", "gateway_db"])
        self.addCleanup(blocker.close)
        blocker.run("BEGIN")
        blocker.run("SELECT COUNT(*) FROM holdfast_lanes FOR UPDATE")
        own = blocker.run("SELECT CONNECTION_ID()")[0]
        # Idle lanes look at their rows.
        rows = harness.wait_for(lambda: self.sql(page.block("performance_schema")).splitlines(),
                                "a lane to wait")
        self.assertIn(own, {row.split("\t")[1] for row in rows})
        self.assertIn("holdfast_lanes", rows[0])


class CertificateTest(runbook.RunbookTest):

    def setUp(self):
        super().setUp()
        self.set_up_database()
        self.home = self.folder / "home"
        self.old, self.new = (Authority(self.folder, name) for name in ("old", "new"))
        self.tls = self.folder / "tls"
        self.tls.mkdir()
        certificate, key = self.old.issue("first", "serverAuth", ["IP:127.0.0.1"])
        for source, name in ((certificate, "cert.pem"), (key, "key.pem"),
                             (self.old.file, "ca.pem")):
            shutil.copy(source, self.tls / name)
        self.listen = f"127.0.0.1:{harness.free_port()}"
        self.daemon.target = self.listen
        self.daemon.settings.update({
            "HOLDFAST_LISTEN": self.listen,
            "HOLDFAST_TLS_CERT_FILE": f"{self.tls}/cert.pem",
            "HOLDFAST_TLS_KEY_FILE": f"{self.tls}/key.pem",
            "HOLDFAST_TLS_CLIENT_CA_FILE": f"{self.tls}/ca.pem"})
        self.daemon.start()
        self.gateway = self.old.issue("gateway")

    def put(self, **files):
        for name, source in files.items():
            shutil.copy(source, self.home / (name.replace("_", "-") + ".pem"))

    def channel(self, pair):
        chain, key = (pathlib.Path(path).read_bytes() for path in pair)
        channel = grpc.secure_channel(
            self.listen, grpc.ssl_channel_credentials(self.old.file.read_bytes(), key, chain),
            options=[("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(channel.close)
        return channel

    def is_served(self, pair):
        try:
            ingest_pb2_grpc.IngestServiceStub(self.channel(pair)).Write(ingest_pb2.WriteRequest(
                wait_for=ingest_pb2.ACK_LEVEL_JOURNALED, batch=ingest_pb2.EventBatch(
                    events=[usage(0, event_id=str(uuid.uuid4()))])), timeout=30)
            return True
        except grpc.RpcError as error:
            self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)
            return False

    def test_certificates_and_authorities_change_under_an_open_stream(self):
        page = Section("Rotating certificates")
        stream = Stream(self.channel(self.gateway))
        self.addCleanup(stream.cancel)
        stream.wait_welcome()

        # A certificate of the same authority.
        certificate, key = self.old.issue("second", "serverAuth", ["IP:127.0.0.1"])
        self.put(new_cert=certificate, new_key=key, gateway=self.gateway[0],
                 gateway_key=self.gateway[1], ca=self.old.file)
        self.shell("cd\n" + page.block("new-cert.pem"), TLS=self.tls)
        look = "cd\n" + page.block("s_client")
        harness.wait_for(lambda: "CN = second" in self.shell(look, LISTEN=self.listen),
                         "the new certificate to be shown", interval=0.3)
        self.assert_shown(page.block("are loaded"), self.daemon.log.read_text(),
                          {"/etc/holdfast/tls": self.tls})

        # Another authority of gateways.
        gateway = self.new.issue("gateway")
        self.assertFalse(self.is_served(gateway))
        self.put(old_ca=self.old.file, new_ca=self.new.file)
        self.shell("cd\n" + page.block("old-ca.pem"), TLS=self.tls)
        harness.wait_for(lambda: self.is_served(gateway), "both authorities to count", interval=0.3)
        self.assertTrue(self.is_served(self.gateway))
        self.shell("cd\n" + page.block("cp new-ca.pem"), TLS=self.tls)
        harness.wait_for(lambda: not self.is_served(self.gateway), "the old one to go",
                         interval=0.3)
        self.assertTrue(self.is_served(gateway))

        stream.send(1, [usage(1)])
        stream.wait_committed(1)
        page.assert_all_used()


if __name__ == "__main__":
    unittest.main()
