"""The image's own files, lived in as a pod would: its uid, a read-only root, no rights to gain, two
writable folders. tests/image/run makes build/image/root and starts the database."""

import json
import os
import pathlib
import subprocess
import sys
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import harness  # noqa: E402  pylint: disable=wrong-import-position

IMAGE_ROOT = ROOT / "build/image/root"
UID = "64000"
PASSWORD = "an image's password"
BYTES_MAX = 64 << 20

# Enters the root as a container does: mounts of its own, nothing writable but the two folders, no
# way to more rights. Each program becomes the next, so the process keeps its number.
ENTER = """set -eu
mount --make-rprivate /
mount --bind "$IMAGE" "$IMAGE"
mount --bind "$FOLDER/run" "$IMAGE/run/holdfast"
mount --bind "$FOLDER/journal" "$IMAGE/var/lib/holdfast"
mount --rbind /dev "$IMAGE/dev"
mount -t proc proc "$IMAGE/proc"
mount -o remount,bind,ro "$IMAGE"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""

class ImageTest(unittest.TestCase):

    def setUp(self):
        folder = harness.Folder()
        self.addCleanup(folder.remove)
        self.folder = folder.path
        for name in ("run", "journal"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, int(UID), int(UID))
        (self.folder / "run/password").write_text(PASSWORD)
        os.chown(self.folder / "run/password", int(UID), int(UID))
        self.port = harness.free_port()
        self.process = None
        self.addCleanup(lambda: harness.end_process(self.process))

    def sql(self, statement):
        done = subprocess.run(
            ["mariadb", "--no-defaults", "--batch", "--skip-column-names", "--user=root",
             f"--socket={os.environ['HOLDFAST_TEST_MYSQL_SOCKET']}"],
            input=statement, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def make_account(self):
        """An account whose login needs a plugin that the client library loads by name, where the
        server has its side of one; Debian's core package has not."""
        server_side = pathlib.Path(self.sql("SELECT @@plugin_dir")) / "auth_ed25519.so"
        if server_side.exists():
            self.sql("INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'")
        else:
            print(f"(no {server_side}: login without a plugin)", file=sys.stderr)
        how = "ed25519" if server_side.exists() else "mysql_native_password"
        self.sql("DROP DATABASE IF EXISTS image_test; CREATE DATABASE image_test;"
                 f"CREATE OR REPLACE USER image@127.0.0.1 IDENTIFIED VIA {how} "
                 f"USING PASSWORD(\"{PASSWORD}\"); GRANT ALL ON image_test.* TO image@127.0.0.1")

    def start(self, program, *arguments, **settings):
        """Starts a program of the image as a container would."""
        values = {"MYSQL_HOST": "127.0.0.1", "MYSQL_USER": "image", "MYSQL_DATABASE": "image_test",
                  "MYSQL_PORT": os.environ["HOLDFAST_TEST_MYSQL_PORT"],
                  "MYSQL_PASSWORD_FILE": "/run/holdfast/password",
                  "HOLDFAST_ADMIN_LISTEN": f"127.0.0.1:{self.port}", **settings}
        environment = {**os.environ, "IMAGE": str(IMAGE_ROOT), "FOLDER": str(self.folder)}
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", ENTER, "sh",
             *(f"{name}={value}" for name, value in values.items()),
             "setpriv", "--no-new-privs", "chroot", f"--userspec={UID}:{UID}", "--groups=",
             IMAGE_ROOT, program, *arguments],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run_program(self, program, *arguments, **more):
        process = self.start(program, *arguments, **more)
        try:
            said, _ = process.communicate(timeout=60)
        finally:
            harness.end_process(process)
        return process.returncode, said

    def page(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}",
                                        timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def test_it_starts_serves_and_drains_as_nobody_on_a_read_only_root(self):
        self.make_account()
        code, said = self.run_program("/usr/bin/holdfastd", "--migrate")
        self.assertEqual(code, 0, said)
        code, _ = self.run_program("/usr/bin/holdfast", "health")
        self.assertEqual(code, 69)  # Nobody is there yet.

        self.process = self.start("/usr/bin/holdfastd")
        harness.wait_for(lambda: self.process.poll() is not None
                         or self.page("/readyz") == "ready\n", "the daemon to be ready")
        if self.process.poll() is not None:
            self.fail(self.process.stdout.read())
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        self.assertIn(f"Uid:\t{UID}\t{UID}\t{UID}\t{UID}", status)
        self.assertIn("CapEff:\t0000000000000000", status)
        self.assertIn("NoNewPrivs:\t1", status)

        (self.folder / "run/event").write_text(json.dumps({
            "occurredAt": "2026-03-01T00:00:00Z",
            "usage": {"eventId": "image-1", "apiKeyId": "key-1", "model": "m",
                      "costMicros": "7"}}) + "\n")
        os.chmod(self.folder / "run/event", 0o644)
        for command in (["health"], ["health", "--ready"], ["health", "--idle"], ["status"],
                        ["send", "--ack", "committed", "/run/holdfast/event"]):
            code, said = self.run_program("/usr/bin/holdfast", *command)
            self.assertEqual(code, 0, (command, said))
        self.assertEqual(
            self.sql("SELECT COUNT(*), SUM(cost_micros) FROM image_test.usage_records"), "1\t7")
        # The figures that come from /proc are there for a user who may look at little.
        for name in ("process_open_fds", "process_resident_memory_bytes"):
            self.assertIn(f"\n{name} ", self.page("/metrics"))

        self.process.terminate()
        said, _ = self.process.communicate(timeout=60)
        self.assertEqual(self.process.returncode, 0, said)

    def test_there_is_no_shell_and_nothing_else_to_run(self):
        programs = {path.relative_to(IMAGE_ROOT).as_posix() for path in IMAGE_ROOT.rglob("*")
                    if path.is_file() and os.access(path, os.X_OK) and ".so" not in path.name}
        self.assertEqual(programs, {"usr/bin/holdfast", "usr/bin/holdfastd"})
        special = [path for path in IMAGE_ROOT.rglob("*") if not path.is_symlink()
                   and path.stat().st_mode & 0o6000]
        self.assertEqual(special, [])

    def test_every_library_and_plugin_finds_what_it_loads(self):
        files = [IMAGE_ROOT / "usr/bin/holdfast", IMAGE_ROOT / "usr/bin/holdfastd",
                 *IMAGE_ROOT.glob("usr/lib/*/libmariadb3/plugin/*.so")]
        self.assertGreaterEqual(len(files), 6)
        present = {path.name for path in IMAGE_ROOT.rglob("*.so*")}
        for path in files:
            text = subprocess.run(["objdump", "-p", path], capture_output=True, text=True,
                                  check=True).stdout
            for line in text.splitlines():
                if "NEEDED" in line:
                    self.assertIn(line.split()[1], present, path)

    def test_it_is_small_and_says_what_it_is(self):
        taken = sum(path.stat().st_size for path in IMAGE_ROOT.rglob("*")
                    if path.is_file() and not path.is_symlink())
        self.assertLess(taken, BYTES_MAX)
        image = json.loads((IMAGE_ROOT.parent / "image.json").read_text())
        config = image["OCIv1"]["config"]
        self.assertEqual(config["User"], "64000:64000")
        self.assertEqual(config["Entrypoint"], ["/usr/bin/holdfastd"])
        self.assertEqual(config["StopSignal"], "SIGTERM")
        self.assertEqual(image["Docker"]["config"]["Healthcheck"]["Test"],
                         ["CMD", "/usr/bin/holdfast", "health"])
        for label in ("title", "description", "version", "revision"):
            self.assertTrue(config["Labels"][f"org.opencontainers.image.{label}"])


if __name__ == "__main__":
    unittest.main()
