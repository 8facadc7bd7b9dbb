"""Where other machines may connect: nobody without a certificate of the right authority, for the
right use, in its time, with the right name; and certificates that change without a restart."""

import os
import shutil
import ssl
import unittest
import uuid

import hostile  # First: it says where harness is.
import floods_test
import harness
from certificates import Authority
from hostile import grpc, ingest_pb2, ingest_pb2_grpc, usage
from raw_http2 import HELLO, connect, frame, was_closed


class TlsTest(hostile.HostileTest):

    @classmethod
    def setUpClass(cls):
        folder = harness.Folder()
        cls.addClassCleanup(folder.remove)
        cls.folder = folder.path
        cls.database = None
        cls.authority = Authority(cls.folder, "authority")
        cls.stranger = Authority(cls.folder, "stranger")
        cls.server = cls.authority.issue("server", "serverAuth", ["IP:127.0.0.1"])
        cls.gateway = cls.authority.issue("gateway", names=["DNS:gateway-a", "URI:spiffe://x/a"])
        cls.used = cls.folder / "used"  # What the daemon reads; it is overwritten.
        cls.used.mkdir()
        cls.place(cls.server, cls.authority)
        cls.daemon = cls.start_daemon("a")
        cls.slow = [connect(cls.daemon.target, 60) for _ in range(2)]
        cls.slow[1].sendall(bytes.fromhex("16030102000100"))

    @classmethod
    def place(cls, pair, authority):
        """Puts files in place as a deployment does: whole, by renaming."""
        for source, name in ((pair[0], "cert"), (pair[1], "key"), (authority.file, "ca")):
            shutil.copy(source, cls.used / "new")
            os.rename(cls.used / "new", cls.used / name)

    @classmethod
    def start_daemon(cls, name, **settings):
        port = harness.free_port()
        daemon = cls.make_daemon(name, **{
            "HOLDFAST_LISTEN": f"127.0.0.1:{port}", "HOLDFAST_TLS_CERT_FILE": cls.used / "cert",
            "HOLDFAST_TLS_KEY_FILE": cls.used / "key",
            "HOLDFAST_TLS_CLIENT_CA_FILE": cls.used / "ca", **settings})
        daemon.target = f"127.0.0.1:{port}"
        daemon.start(ready=False)
        return daemon

    def channel(self, pair, authority=None, daemon=None):
        chain, key = (path.read_bytes() for path in pair) if pair else (None, None)
        channel = grpc.secure_channel(
            (daemon or self.daemon).target,
            grpc.ssl_channel_credentials((authority or self.authority).file.read_bytes(), key,
                                         chain),
            options=[("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(channel.close)
        return channel

    def write(self, channel):
        """The code of a Write."""
        try:
            ingest_pb2_grpc.IngestServiceStub(channel).Write(ingest_pb2.WriteRequest(
                wait_for=ingest_pb2.ACK_LEVEL_JOURNALED,
                batch=ingest_pb2.EventBatch(events=[usage(str(uuid.uuid4()))])), timeout=30)
            return grpc.StatusCode.OK
        except grpc.RpcError as error:
            return error.code()

    def assert_served(self, *arguments, **named):
        self.assertEqual(self.write(self.channel(*arguments, **named)), grpc.StatusCode.OK)

    def assert_refused(self, pair, daemon=None):
        before = self.refused("tls", daemon)
        self.assertEqual(self.write(self.channel(pair, daemon=daemon)),
                         grpc.StatusCode.UNAVAILABLE)
        # The alert goes out within the handshake, before it can be counted that it failed.
        harness.wait_for(lambda: self.refused("tls", daemon) > before, "the refusal to be counted")

    def test_a_gateway_with_a_good_certificate_is_served_and_the_daemon_is_alive(self):
        self.assert_served(self.gateway)
        self.assertEqual(self.daemon.page("/livez")[0], 200)

    def test_nobody_is_served_without_a_good_certificate(self):
        expired = self.authority.issue("expired", end="20210101000000Z")
        early = self.authority.issue("early", start="20470101000000Z")
        pairs = {
            "none": None,
            "of another authority": self.stranger.issue("gateway"),
            "expired": expired,
            "not yet valid": early,
            "for servers only": self.authority.issue("misused", "serverAuth"),
        }
        for what, pair in pairs.items():
            with self.subTest(what):
                self.assert_refused(pair)
        self.assert_served(self.gateway)

    def test_of_good_certificates_only_those_with_an_allowed_name(self):
        daemon = self.start_daemon("named", HOLDFAST_TLS_CLIENT_NAMES="gateway-b, spiffe://x/a")
        other = self.authority.issue("other", names=["DNS:gateway-b"])
        nameless = self.authority.issue("nameless")
        wrong = self.authority.issue("gateway-b", names=["DNS:gateway-b.evil", "email:gateway-b"])
        self.assert_served(self.gateway, daemon=daemon)
        self.assert_served(other, daemon=daemon)
        self.assert_refused(nameless, daemon)
        self.assert_refused(wrong, daemon)

    def test_no_plain_byte_and_no_other_protocol_reaches_grpc(self):
        for data in (HELLO + frame(6, 0, 0, bytes(8)), b"GET / HTTP/1.1\r\n\r\n"):
            peer = connect(self.daemon.target)
            peer.sendall(data)
            self.assertTrue(was_closed(peer))
            peer.close()
        for protocols in (["http/1.1"], ["spdy/3"]):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.handshake(protocols).recv(1)
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.handshake(["h2"], most=ssl.TLSVersion.TLSv1_1).recv(1)

    def handshake(self, protocols, most=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority.file)
        context.load_cert_chain(*self.gateway)
        context.set_alpn_protocols(protocols)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        if most:
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = most
        wrapped = context.wrap_socket(connect(self.daemon.target), server_hostname="127.0.0.1")
        self.addCleanup(wrapped.close)
        return wrapped

    def test_whoever_begins_a_handshake_and_does_not_end_it_is_closed(self):
        for peer in self.slow:
            self.assertTrue(was_closed(peer))
            peer.close()

    def test_a_flood_by_tls_is_stopped_like_any_other(self):
        test = self

        class Flood(floods_test.Flood):
            def _run(self, data):
                try:
                    peer = test.handshake(["h2"])
                    peer.settimeout(floods_test.SECONDS)
                    peer.sendall(HELLO + data)
                except OSError:
                    self.closed += 1

        with self.memory_bounded(floods_test.GROWTH_MAX):
            for name in ("resets", "continuations"):
                flood = Flood(self.daemon.target, name).run()
                self.assertEqual(flood.closed, len(flood.threads))
                self.assert_served(self.gateway)

    def test_changed_certificates_are_taken_up_and_open_streams_go_on(self):
        daemon = self.start_daemon("changing")
        stream = hostile.Stream(self.channel(self.gateway, daemon=daemon),
                                ack_level=ingest_pb2.ACK_LEVEL_JOURNALED)
        stream.wait_welcome()
        try:
            # The server's own changes first, then the authority of the gateways.
            self.place(self.stranger.issue("server", "serverAuth", ["IP:127.0.0.1"]),
                       self.authority)
            harness.wait_for(lambda: self.write(self.channel(self.gateway, self.stranger, daemon))
                             == grpc.StatusCode.OK, "the new certificate to be shown", interval=0.3)
            (self.used / "key").write_text("rubbish", "ascii")
            harness.wait_for(lambda: self.errors_after_a_knock(daemon),
                             "the rubbish to be reported", interval=0.3)
            self.assertIn("HOLDFAST_TLS_KEY_FILE", daemon.log_lines("error")[0])
            self.assertNotIn("rubbish", daemon.log_lines("error")[0])
            self.assert_served(self.gateway, self.stranger, daemon)

            self.place(self.stranger.issue("server2", "serverAuth", ["IP:127.0.0.1"]),
                       self.stranger)
            strangers = self.stranger.issue("gateway2")
            harness.wait_for(lambda: self.write(self.channel(strangers, self.stranger, daemon))
                             == grpc.StatusCode.OK, "the new authority to count", interval=0.3)
            self.assertEqual(self.write(self.channel(self.gateway, self.stranger, daemon)),
                             grpc.StatusCode.UNAVAILABLE)
            stream.send(1, [usage("through it all")])
            stream.wait_journaled(1)
        finally:
            stream.cancel()
            self.place(self.server, self.authority)

    @staticmethod
    def errors_after_a_knock(daemon):
        """The files are looked at when somebody connects."""
        connect(daemon.target).close()
        return daemon.log_lines("error")

    # --- settings ---

    def settle(self, *arguments, **settings):
        daemon = harness.Daemon(self.folder, None, str(uuid.uuid4())[:8], **settings)
        return daemon.run(*arguments)

    def test_where_other_machines_could_connect_tls_is_required(self):
        for address in ("0.0.0.0:0", "[::]:0", "10.0.0.1:5555", "192.168.1.1:80"):
            for arguments in ((), ("--check_config",)):
                done = self.settle(*arguments, HOLDFAST_LISTEN=address)
                self.assertEqual(done.returncode, 78, done.stderr)
                self.assertIn("HOLDFAST_LISTEN", done.stderr)
                self.assertIn("HOLDFAST_TLS_CERT_FILE", done.stderr)
        good = {"HOLDFAST_TLS_CERT_FILE": self.server[0], "HOLDFAST_TLS_KEY_FILE": self.server[1],
                "HOLDFAST_TLS_CLIENT_CA_FILE": self.authority.file}
        done = self.settle("--check_config", HOLDFAST_LISTEN="0.0.0.0:0", **good)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_certificates_that_will_not_do_are_found_before_the_start(self):
        good = {"HOLDFAST_LISTEN": "127.0.0.1:0", "HOLDFAST_TLS_CERT_FILE": self.server[0],
                "HOLDFAST_TLS_KEY_FILE": self.server[1],
                "HOLDFAST_TLS_CLIENT_CA_FILE": self.authority.file}
        empty = self.folder / "empty"
        empty.touch()
        cases = [("HOLDFAST_TLS_KEY_FILE", "HOLDFAST_TLS_KEY_FILE", self.gateway[1]),
                 ("HOLDFAST_TLS_KEY_FILE", "HOLDFAST_TLS_KEY_FILE", ""),
                 ("HOLDFAST_TLS_CLIENT_CA_FILE", "HOLDFAST_TLS_CLIENT_CA_FILE", ""),
                 ("HOLDFAST_TLS_CERT_FILE", "HOLDFAST_TLS_CERT_FILE", ""),
                 ("HOLDFAST_TLS_CERT_FILE", "HOLDFAST_TLS_CERT_FILE", "/no/such/file"),
                 ("HOLDFAST_TLS_CLIENT_CA_FILE", "HOLDFAST_TLS_CLIENT_CA_FILE", empty),
                 ("HOLDFAST_LISTEN", "HOLDFAST_TLS_CERT_FILE", f"unix:{self.folder}/s")]
        for setting, named, value in cases:
            for arguments in ((), ("--check_config",)):
                with self.subTest(f"{setting}={value} {arguments}"):
                    done = self.settle(*arguments, **{**good, setting: value})
                    self.assertEqual(done.returncode, 78, done.stderr)
                    self.assertIn(named, done.stderr)

    def test_a_file_in_the_sockets_place_is_found_before_the_start_and_stays(self):
        place = self.folder / "precious"
        place.write_text("precious", "ascii")
        for path in (place, self.folder, place / "below"):
            for arguments in ((), ("--check_config",)):
                with self.subTest(f"{path} {arguments}"):
                    done = self.settle(*arguments, HOLDFAST_LISTEN=f"unix:{path}")
                    self.assertEqual(done.returncode, 78, done.stderr)
                    self.assertIn(str(path), done.stderr)
                    self.assertIn("listen", done.stderr)
                    self.assertNotIn("journal", done.stderr)
        self.assertEqual(place.read_text("ascii"), "precious")


if __name__ == "__main__":
    unittest.main(verbosity=2)
