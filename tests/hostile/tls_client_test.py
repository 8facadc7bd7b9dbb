"""The C++ client and the tool towards a daemon with TLS: whatever is wrong with a certificate is
told, with its remedy, and ends the command; files that change count from the next connection on."""

import json
import os
import shutil
import subprocess
import unittest

import hostile  # First: it says where harness is.
import harness
from certificates import Authority, openssl

LINE = ('{"occurredAt":"2026-01-15T10:30:00Z",'
        '"usage":{"eventId":"%s","apiKeyId":"k","model":"m"}}\n')
PREFIX = "HOLDFAST_"


class TlsClientTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        folder = harness.Folder()
        cls.addClassCleanup(folder.remove)
        cls.folder = folder.path
        cls.authority = Authority(cls.folder, "authority")
        cls.stranger = Authority(cls.folder, "stranger")
        cls.server = cls.authority.issue("server", "serverAuth", ["IP:127.0.0.1", "DNS:holdfast"])
        cls.gateway = cls.authority.issue("gateway", names=["DNS:gateway-a"])
        cls.daemon = cls.start_daemon("a")
        cls.good = cls.flags(cls.authority.file, *cls.gateway)

    @classmethod
    def start_daemon(cls, name, **settings):
        port = harness.free_port()
        daemon = harness.Daemon(cls.folder, None, name, **{
            "HOLDFAST_LISTEN": f"127.0.0.1:{port}", "HOLDFAST_TLS_CERT_FILE": cls.server[0],
            "HOLDFAST_TLS_KEY_FILE": cls.server[1],
            "HOLDFAST_TLS_CLIENT_CA_FILE": cls.authority.file,
            "HOLDFAST_TLS_CLIENT_NAMES": "gateway-a", **settings})
        daemon.target = f"127.0.0.1:{port}"
        cls.addClassCleanup(daemon.stop)
        daemon.start(ready=False)
        return daemon

    @staticmethod
    def flags(authority=None, certificate=None, key=None, name=None):
        given = {"tls_ca_file": authority, "tls_client_cert_file": certificate,
                 "tls_client_key_file": key, "tls_server_name": name}
        return [f"--{flag}={value}" for flag, value in given.items() if value is not None]

    @staticmethod
    def environment(**more):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        return {**kept, **{key: str(value) for key, value in more.items()}}

    def holdfast(self, *arguments, to=None, patience=60, **environment):
        """The exit status, and what was said. It must end by itself within `patience` seconds."""
        done = subprocess.run(
            [harness.BIN / "holdfast", *arguments, f"--to={to or self.daemon.target}"],
            input=LINE % "one", env=self.environment(**environment), capture_output=True,
            text=True, timeout=patience, check=False)
        return done.returncode, done.stdout + done.stderr

    # Each way in which the tool opens a connection. Much longer waits than the test allows: nothing
    # that a certificate is refused for is waited for.
    COMMANDS = (("send", "-", "--timeout=1h"), ("status", "--timeout=1h"), ("health", "--timeout=1h"),
                ("audit", "--timeout=1h"), ("tail", "--count=1"))

    def assert_ends(self, code, texts, flags, to=None, commands=COMMANDS):
        for command in commands:
            with self.subTest(command=command, flags=flags):
                found, said = self.holdfast(*command, *flags, to=to)
                self.assertEqual(found, code, said)
                for text in texts:
                    self.assertIn(str(text), said)

    def test_with_good_certificates_events_are_taken_and_questions_answered(self):
        code, said = self.holdfast("send", "-", *self.good)
        self.assertEqual(code, 0, said)
        self.assertEqual(self.holdfast("health", "--ready", *self.good), (0, ""))
        code, said = self.holdfast("status", "--json", *self.good)
        self.assertEqual(code, 1, said)  # There is no database.
        self.assertTrue(json.loads(said)["version"])
        # `holdfast doctor` has nothing to say about the way to the daemon, and of the rest a lot.
        code, said = self.holdfast("doctor", "--json", "--no_write", *self.good)
        (daemon,) = [finding for finding in json.loads(said)["findings"]
                     if finding["found"].startswith("answers at")]
        self.assertEqual(daemon["level"], "FINDING_LEVEL_OK")

    def test_the_environment_says_the_same_and_flags_come_first(self):
        variables = {"HOLDFAST_TLS_CA_FILE": self.authority.file,
                     "HOLDFAST_TLS_CLIENT_CERT_FILE": self.gateway[0],
                     "HOLDFAST_TLS_CLIENT_KEY_FILE": self.gateway[1]}
        self.assertEqual(self.holdfast("health", **variables), (0, ""))
        variables["HOLDFAST_TLS_CA_FILE"] = self.stranger.file
        code, said = self.holdfast("health", **variables)
        self.assertEqual(code, 69, said)
        self.assertEqual(self.holdfast("health", f"--tls_ca_file={self.authority.file}",
                                       **variables), (0, ""))
        # And a daemon does not take them for misspelled settings of its own.
        done = self.daemon.run("--check_config", **variables)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_name_other_than_the_address_is_expected_where_it_is_asked_for(self):
        to = self.daemon.target.replace("127.0.0.1", "localhost")
        self.assert_ends(69, ["is not for localhost", "tls_server_name"], self.good, to)
        self.assertEqual(self.holdfast("health", *self.good, "--tls_server_name=holdfast", to=to),
                         (0, ""))
        self.assert_ends(69, ["is not for other"], [*self.good, "--tls_server_name=other"],
                         commands=[("health",)])

    def test_whose_certificate_is_refused_and_why_is_told_at_once(self):
        expired = self.authority.issue("expired", names=["DNS:gateway-a"], end="20210101000000Z")
        foreign = self.stranger.issue("foreign", names=["DNS:gateway-a"])
        nameless = self.authority.issue("nameless")
        ours = self.authority.file
        self.assert_ends(69, ["asks for a client certificate", "tls_client_cert_file"],
                         self.flags(ours))
        self.assert_ends(69, [expired[0], "certificate expired", "renew"],
                         self.flags(ours, *expired))
        self.assert_ends(69, [foreign[0], "unknown ca", "HOLDFAST_TLS_CLIENT_CA_FILE"],
                         self.flags(ours, *foreign))
        self.assert_ends(69, [nameless[0], "HOLDFAST_TLS_CLIENT_NAMES"],
                         self.flags(ours, *nameless))
        self.assert_ends(69, ["will not do", self.stranger.file, "tls_ca_file"],
                         self.flags(self.stranger.file, *self.gateway))
        code, said = self.holdfast("doctor", *self.flags(ours, *expired))
        self.assertEqual(code, 2, said)
        self.assertIn("certificate expired", said)

    def test_a_daemon_whose_own_certificate_has_expired_is_not_trusted(self):
        late = self.authority.issue("late", "serverAuth", ["IP:127.0.0.1"], end="20210101000000Z")
        daemon = self.start_daemon("late", HOLDFAST_TLS_CERT_FILE=late[0],
                                   HOLDFAST_TLS_KEY_FILE=late[1])
        self.assert_ends(69, ["certificate has expired", "HOLDFAST_TLS_CERT_FILE"], self.good,
                         daemon.target)

    def test_files_that_will_not_do_are_named_and_nothing_is_sent(self):
        rubbish = self.folder / "rubbish"
        rubbish.write_text("rubbish", "ascii")
        locked = self.folder / "locked"
        openssl("ec", "-in", self.gateway[1], "-aes256", "-passout", "pass:x", "-out", locked)
        other = self.authority.issue("other")
        ours, (certificate, key) = self.authority.file, self.gateway
        missing = self.folder / "missing"
        for flags, texts in (
                (self.flags(missing, certificate, key), [missing, "No such file", "tls_ca_file"]),
                (self.flags(rubbish, certificate, key), [rubbish, "tls_ca_file"]),
                (self.flags(self.folder, certificate, key), ["Is a directory", "tls_ca_file"]),
                (self.flags(ours, missing, key), [missing, "tls_client_cert_file"]),
                (self.flags(ours, rubbish, key), [rubbish, "tls_client_cert_file"]),
                (self.flags(ours, certificate, missing), [missing, "tls_client_key_file"]),
                (self.flags(ours, certificate, rubbish), [rubbish, "tls_client_key_file"]),
                (self.flags(ours, certificate, locked), [locked, "without a passphrase"]),
                (self.flags(ours, certificate, other[1]),
                 [other[1], f"is not the key of the certificate in {certificate}"])):
            self.assert_ends(66, texts, flags)

    def test_nothing_turns_tls_off_unnoticed(self):
        ours, (certificate, key) = self.authority.file, self.gateway
        for flags, text in ((self.flags(ours, certificate), "tls_client_key_file is missing"),
                            (self.flags(ours, None, key), "tls_client_cert_file is missing"),
                            (self.flags(None, certificate, key), "tls_ca_file is missing"),
                            (self.flags("", certificate, key), "--tls_ca_file is empty"),
                            (self.flags(None, None, None, "holdfast"), "tls_ca_file is missing")):
            self.assert_ends(64, [text], flags)
        self.assert_ends(64, ["Unix socket"], self.good, "unix:/run/s")

    def test_who_speaks_tls_to_who_does_not_is_told_so(self):
        before = self.daemon.status()["books"]["accepted"]
        self.assert_ends(69, ["--tls_ca_file"], [], commands=[
            ("send", "-", "--timeout=3s"), ("status", "--timeout=20s"), ("health", "--timeout=20s")])
        self.assertEqual(self.daemon.status()["books"]["accepted"], before)
        plain = harness.Daemon(self.folder, None, "plain")
        port = harness.free_port()
        plain.settings["HOLDFAST_LISTEN"] = f"127.0.0.1:{port}"
        self.addCleanup(plain.stop)
        plain.start(ready=False)
        self.assert_ends(69, ["listens without TLS"], self.good, f"127.0.0.1:{port}", commands=[
            ("send", "-", "--timeout=3s"), ("status", "--timeout=20s"), ("health", "--timeout=20s")])
        self.assertEqual(int(plain.status()["books"].get("accepted", 0)), 0)

    def test_changed_files_count_from_the_next_connection_on(self):
        used = {name: self.folder / f"used-{name}" for name in
                ("server", "server-key", "ca", "client", "client-key")}

        def place(authority, number):
            server = authority.issue(f"server-{number}", "serverAuth", ["IP:127.0.0.1"])
            client = authority.issue(f"client-{number}", names=["DNS:gateway-a"])
            for name, source in zip(used, (*server, authority.file, *client)):
                shutil.copy(source, self.folder / "new")
                os.rename(self.folder / "new", used[name])
        place(self.authority, 1)
        daemon = self.start_daemon(
            "changing", HOLDFAST_TLS_CERT_FILE=used["server"],
            HOLDFAST_TLS_KEY_FILE=used["server-key"], HOLDFAST_TLS_CLIENT_CA_FILE=used["ca"])

        def accepted(count):
            harness.wait_for(lambda: int(daemon.status()["books"].get("accepted", 0)) == count,
                             f"{count} events to be accepted")
        with subprocess.Popen(
                [harness.BIN / "holdfast", "send", "-", "--timeout=1h", f"--to={daemon.target}",
                 *self.flags(used["ca"], used["client"], used["client-key"])],
                env=self.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True) as sender:
            self.addCleanup(harness.end_process, sender)
            sender.stdin.write(LINE % "before")
            sender.stdin.flush()
            accepted(1)
            daemon.kill()
            # Not one of the former files is of use with the new ones.
            place(self.stranger, 2)
            daemon.start(ready=False)
            sender.stdin.write(LINE % "after")
            sender.stdin.flush()
            accepted(2)
            out, err = sender.communicate(timeout=60)
        self.assertEqual(sender.returncode, 0, out + err)
        self.assertIn("The connection was lost and made again", err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
