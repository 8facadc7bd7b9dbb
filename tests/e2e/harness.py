"""What the end-to-end tests stand on: a private MariaDB, the daemon as a process, and a foreign
client made from the generated stub.

Nothing here sleeps to let something happen: `wait_for` looks until a condition holds and fails at a
deadline. Every process is ended by its own pid.
"""

import contextlib
import fcntl
import http.client
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("HOLDFAST_BIN") or os.environ.get("HOLDFAST_BIN_DEFAULT")
                   or ROOT / "build/release/bin")
STUBS = pathlib.Path(os.environ.get("HOLDFAST_STUBS") or ROOT / "build/dev/python")

# Where tests/support/real-mysql unpacked a MySQL, which then takes MariaDB's place.
MYSQL_ROOT = os.environ.get("HOLDFAST_TEST_MYSQL_ROOT")

# A shared and sanitized machine is slow; a deadline only bounds how long a failure takes.
PATIENCE = float(os.environ.get("HOLDFAST_TEST_PATIENCE", "90"))

# A signal at random moments goes to processes, never to a thread of gRPC's in this one.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


class Late(AssertionError):
    """A condition did not come true in time."""


def wait_for(condition, what, patience=None, interval=0.02):
    """Returns what `condition()` returns once that is true; looks every `interval` seconds."""
    deadline = time.monotonic() + (patience or PATIENCE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Late(f"waited {patience or PATIENCE:.0f} s in vain for: {what}")
        time.sleep(interval)


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_process(process, how=signal.SIGTERM, patience=30):
    if process is None or process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Folder:
    """A short-named temporary folder: a unix socket's path has to fit into 107 bytes."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-"))

    def remove(self):
        if os.environ.get("HOLDFAST_TEST_KEEP"):
            print(f"kept: {self.path}", file=sys.stderr)
        else:
            shutil.rmtree(self.path, ignore_errors=True)


# --- the database -------------------------------------------------------------------------------


class Session:
    """One connection that stays open, to hold locks from. Statements are answered in order."""

    def __init__(self, arguments):
        self._process = subprocess.Popen(
            arguments + ["--unbuffered", "--force"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self._lines = queue.SimpleQueue()
        self._marks = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def send(self, statement):
        """Sends a statement and does not wait for its end."""
        self._process.stdin.write(statement + ";\n")
        self._process.stdin.flush()

    def run(self, statement):
        """Sends a statement and waits for its answer, a list of lines."""
        self.send(statement)
        self._marks += 1
        mark = f"-- mark {self._marks}"
        self.send(f"SELECT '{mark}'")
        answer, error = [], None
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise Late(f"the database did not answer: {statement[:80]}") from None
            if line is None:
                raise AssertionError(f"the connection ended in: {statement[:80]}: {answer}")
            if line == mark and error:
                raise AssertionError(f"{error} in: {statement[:80]}")
            if line == mark:
                return answer
            if line.startswith("ERROR "):
                # The mark still comes.
                error = line
                continue
            answer.append(line)

    def close(self):
        self._process.stdin.close()
        end_process(self._process)
        self._process.stdout.close()


class Database:
    """A MariaDB (or MySQL) of our own: its folder, its socket, no network. `options`: more of the
    server's, for its next starts."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "mariadb"
        self.socket = self.folder / "s"
        self.process = None
        self.options = []
        shutil.copytree(_template(), self.folder / "data")

    def start(self):
        if not self.process or self.process.poll() is not None:
            self.start_without_waiting()
        wait_for(self._answers, f"the database to answer; see {self.folder}/log")

    def start_without_waiting(self):
        arguments = [*_server(), f"--datadir={self.folder}/data",
                     f"--tmpdir={self.folder}", f"--socket={self.socket}",
                     f"--pid-file={self.folder}/pid",
                     "--skip-networking", "--innodb-buffer-pool-size=256M",
                     "--max-connections=100", *self.options]
        arguments += (["--mysqlx=OFF", "--skip-log-bin", "--secure-file-priv=NULL"]
                      if MYSQL_ROOT else ["--innodb-log-file-size=96M"])
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the database ended with {self.process.returncode}: "
                                 + (self.folder / "log").read_text(errors="replace")[-2000:])
        return subprocess.run(self.client() + ["-e", "SELECT 1"], capture_output=True,
                              check=False).returncode == 0

    def stop(self):
        end_process(self.process)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def client(self, database=None):
        return [_program("mariadb"), "--no-defaults", "--batch", "--skip-column-names",
                "--user=root", f"--socket={self.socket}",
                "--default-character-set=utf8mb4"] + ([database] if database else [])

    def sql(self, statement, database="holdfast"):
        """Runs statements; returns the rows as tuples of text, NULL as "NULL"."""
        done = subprocess.run(self.client(database), input=statement, capture_output=True,
                              text=True, encoding="utf-8", errors="surrogateescape", check=False)
        if done.returncode != 0:
            raise AssertionError(f"{done.stderr.strip()} in: {statement[:200]}")
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    def number(self, statement, database="holdfast"):
        return int(self.sql(statement, database)[0][0])

    def session(self, database="holdfast"):
        return Session(self.client(database))

    def status(self, *names):
        """The sum of some of the server's counters."""
        listed = ", ".join(f"'{name}'" for name in names)
        schema = "performance_schema" if MYSQL_ROOT else "information_schema"
        return self.number(f"SELECT SUM(VARIABLE_VALUE) FROM {schema}.global_status "
                           f"WHERE VARIABLE_NAME IN ({listed})", None)


def _program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
    if not found:
        raise AssertionError(f"{name} is not installed: run deploy/install-deps test")
    return found


def _server():
    """The server's program with the options that any use of it needs."""
    if MYSQL_ROOT:
        # With the libraries that it was unpacked with, which are not this system's.
        root = pathlib.Path(MYSQL_ROOT).resolve()
        loader = next((root / "usr").glob("lib*/ld-linux*.so.*"))
        libraries = ":".join(str(path) for path in (root / "usr/lib").glob("*-linux-gnu"))
        command = [loader, "--library-path", libraries, root / "usr/sbin/mysqld", "--no-defaults",
                   f"--basedir={root}/usr", f"--lc-messages-dir={root}/usr/share/mysql",
                   f"--plugin-dir={root}/usr/lib/mysql/plugin",
                   f"--character-sets-dir={root}/usr/share/mysql/charsets"]
    else:
        command = [_program("mariadbd"), "--no-defaults"]
    return command + (["--user=root"] if os.geteuid() == 0 else [])


def _template():
    """An empty data folder, made once for a build folder and copied for each server."""
    place = STUBS.parent / ("mysql-template" if MYSQL_ROOT else "mariadb-template")
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{place}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            if MYSQL_ROOT:
                arguments = [*_server(), "--initialize-insecure", f"--datadir={place}/data"]
            else:
                arguments = [_program("mariadb-install-db"), "--no-defaults",
                             f"--datadir={place}/data", "--auth-root-authentication-method=normal",
                             "--skip-test-db", "--innodb-log-file-size=96M"]
                if os.geteuid() == 0:
                    arguments.append("--user=root")
            done = subprocess.run(arguments, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise AssertionError(f"{arguments[0]} failed: {done.stdout} {done.stderr}")
            (place / "complete").touch()
    return place / "data"


# --- the daemon ---------------------------------------------------------------------------------


class Daemon:
    """`holdfastd` as a process, with a journal, a socket and an admin port of its own. Without a
    database it has one that is not there."""

    def __init__(self, folder, database, name="a", schema="holdfast", **settings):
        self.folder = pathlib.Path(folder) / f"daemon-{name}"
        self.folder.mkdir(parents=True)
        self.schema = schema
        self.database = database
        self.target = f"unix:{self.folder}/s"
        self.log = self.folder / "log"
        self.process = None
        self.port = free_port()
        self.settings = {
            "MYSQL_SOCKET": str(database.socket if database else self.folder / "nothing"),
            "MYSQL_DATABASE": schema,
            "MYSQL_USER": "root",
            "HOLDFAST_LISTEN": self.target,
            "HOLDFAST_ADMIN_LISTEN": f"127.0.0.1:{self.port}",
            "HOLDFAST_JOURNAL_DIR": str(self.folder / "journal"),
            "LOG_LEVEL": "info",
            "HOLDFAST_LOG_FORMAT": "text",  # Also where the tests run in a pod.
        }
        self.settings.update({key: str(value) for key, value in settings.items()})

    def environment(self, **more):
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith(("MYSQL_", "DB_", "HOLDFAST_", "RATE_LIMIT_", "LOG_LEVEL"))}
        kept.update(self.settings)
        kept.update({key: str(value) for key, value in more.items()})
        return kept

    def run(self, *arguments, patience=60, **more):
        """Runs holdfastd to its end, as for --migrate; returns what it said and its status."""
        return subprocess.run([BIN / "holdfastd", *arguments], env=self.environment(**more),
                              capture_output=True, text=True, timeout=patience, check=False)

    def migrate(self):
        self.database.sql(f"CREATE DATABASE IF NOT EXISTS {self.schema}", None)
        done = self.run("--migrate")
        if done.returncode != 0:
            raise AssertionError(f"--migrate ended with {done.returncode}: {done.stderr}")

    def start_without_waiting(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BIN / "holdfastd"], env=self.environment(),
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start(self, ready=True):
        """Starts it and waits until it takes events and, if `ready`, every lane is at its seat."""
        self.start_without_waiting()
        if ready:
            wait_for(lambda: self.books() is not None and not self.status().get("missing"),
                     f"the daemon to reach its database: {self.log}")
        else:
            wait_for(lambda: self.page("/readyz")[0] == 200, f"the daemon to answer: {self.log}")

    def page(self, path):
        """Status and text of a page on the admin port; (0, why) if there was no answer."""
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}: "
                                 + self.log_tail())
        try:
            try:
                answer = urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)

    def log_tail(self):
        return self.log.read_text(errors="replace")[-3000:]

    def log_lines(self, level):
        """The lines of the log of one level."""
        return [line for line in self.log.read_text(errors="replace").splitlines()
                if re.search(rf"\b{level}\b", line[:60], re.IGNORECASE)]

    def metrics(self):
        return Metrics(self.page("/metrics")[1])

    def status(self):
        code, text = self.page("/api/v1/status")
        return json.loads(text) if code == 200 else {}

    def books(self):
        """The balance over all kinds as numbers; None while it is not complete."""
        books = self.status().get("books", {})
        if not books.get("complete"):
            return None
        return {name: int(books.get(name, 0)) for name in
                ("accepted", "committed", "duplicate", "quarantined", "adjusted", "pending")}

    def lanes(self):
        return {lane["lane"]: lane for lane in self.status().get("lanes", [])}

    def wait_drained(self, accepted=None, patience=None):
        """Waits until nothing is pending; returns the balance."""
        def drained():
            books = self.books()
            if books and books["pending"] == 0 and (accepted is None
                                                    or books["accepted"] >= accepted):
                return books
            return None
        return wait_for(drained, f"everything to drain: {self.log}", patience)

    def terminate(self, patience=60):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise Late(f"the daemon did not end within {patience} s of SIGTERM: "
                       + self.log_tail()) from None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        end_process(self.process, signal.SIGKILL)


class Metrics:
    """What /metrics showed at one moment."""

    def __init__(self, text):
        self.samples = []
        for line in text.splitlines():
            match = re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
            if match and not line.startswith("#"):
                labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                self.samples.append((match[1], labels, float(match[3])))

    def sum(self, name, **labels):
        """The sum of a name's series that carry these labels; 0 if there is none."""
        return sum(value for found, its, value in self.samples
                   if found == name and all(its.get(key) == want for key, want in labels.items()))

    def has(self, name):
        return any(found == name for found, _, _ in self.samples)


class DaemonTest(unittest.TestCase):
    """A test case with a database and a daemon, both its own."""

    settings = {}

    def setUp(self):
        folder = Folder()
        self.addCleanup(folder.remove)
        self.folder = folder.path
        self.database = Database(self.folder)
        self.addCleanup(self.database.stop)
        self.database.start()
        self.daemon = self.make_daemon(**self.settings)
        self.daemon.migrate()

    def make_daemon(self, name="a", **settings):
        daemon = Daemon(self.folder, self.database, name, **settings)
        self.addCleanup(daemon.stop)
        return daemon

    def assert_books(self, daemon, **expected):
        """The books balance, in the daemon and in the database, and say what is expected."""
        books = daemon.wait_drained()
        self.assertEqual(books["accepted"], books["committed"] + books["duplicate"]
                         + books["quarantined"] + books["adjusted"] + books["pending"], books)
        row = self.database.sql("SELECT COALESCE(SUM(position), 0), COALESCE(SUM(committed), 0), "
                                "COALESCE(SUM(duplicate), 0), COALESCE(SUM(quarantined), 0), "
                                f"COALESCE(SUM(adjusted), 0) FROM {daemon.schema}.holdfast_lanes")
        position, committed, duplicate, quarantined, adjusted = (int(value) for value in row[0])
        self.assertEqual(position, committed + duplicate + quarantined + adjusted)
        for name, value in expected.items():
            self.assertEqual(books[name], value, f"{name} in {books}")
        return books
