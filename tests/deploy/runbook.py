"""deploy/RUNBOOK.md as something that is run: its blocks of code, a shell and servers in which they
mean what an operator means by them."""

import os
import re
import subprocess
import sys
import textwrap
import unittest

from prometheus import ROOT, harness

sys.path.insert(0, str(ROOT / "tests/chaos"))

from frame import servers  # noqa: E402  pylint: disable=wrong-import-position

PAGE = ROOT / "deploy/RUNBOOK.md"
GRANTS = ROOT / "sql/grants.sql"
MIGRATE_PASSWORD = "of migrate"

# So that nobody waits long for what a test breaks on purpose.
QUICK = {"HOLDFAST_LANE_LOOK_EVERY": "1s", "DB_BREAKER_RECOVERY_TIMEOUT": "200ms"}


class Section:
    """The blocks of one heading, up to the next one."""

    def __init__(self, title):
        found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", PAGE.read_text("utf-8"),
                          re.MULTILINE | re.DOTALL)
        if not found:
            raise AssertionError(f"{PAGE} has no section \"{title}\"")
        self.title = title
        # A block is indented by four, and may have empty lines inside.
        blocks = re.findall(r"(?<=\n\n)((?:    .*\n|\n(?=    ))+)", "\n\n" + found[1] + "\n")
        self.blocks = [textwrap.dedent(block).strip("\n") + "\n" for block in blocks]
        self._unused = list(self.blocks)

    def block(self, *having):
        """The next block that has all of these texts; one that was taken before if no other has."""
        for block in self._unused + self.blocks:
            if all(text in block for text in having):
                if block in self._unused:
                    self._unused.remove(block)
                return block
        raise AssertionError(f"\"{self.title}\" has no block with {having}")

    def settings(self, *having):
        """A block of NAME=value as a dict."""
        return dict(line.split("=", 1) for line in self.block(*having).splitlines())

    def assert_all_used(self):
        assert not self._unused, f"blocks of \"{self.title}\" that nobody has tried: {self._unused}"


def replaced(text, words):
    for word, value in words.items():
        text = text.replace(word, str(value))
    return text


def shape(block):
    """A pattern for what a block shows: other numbers and ids, and other widths, will do."""
    lines = []
    for line in block.splitlines():
        words = []
        for word in line.split():
            word = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "\0", word)
            word = re.sub(r"\d+", r"\\d+", re.escape(word))
            words.append(word.replace("\0", "[0-9a-f-]{36}"))
        lines.append(r"[ \t]+".join(words))
    return re.compile(r"[ \t]*" + r"\s*\n\s*".join(lines), re.MULTILINE)


class Server(servers.Server):
    """A MariaDB with the page's database and its accounts."""

    def client(self, database=None):
        # What compares tables asks for the schema of most tests.
        return super().client("gateway_db" if database == "holdfast" else database)

    def add_accounts(self):
        self.sql("CREATE DATABASE IF NOT EXISTS gateway_db;"
                 "CREATE USER 'holdfast'@'%' IDENTIFIED BY 'OLD';"
                 f"CREATE USER 'holdfast_migrate'@'%' IDENTIFIED BY '{MIGRATE_PASSWORD}'", None)


class RunbookTest(unittest.TestCase):
    """A server, a daemon with an account of its own that has the documented grants alone, and an
    operator's shell. Tests begin with `set_up_database`, or make the tables themselves."""

    server_options = ()

    def setUp(self):
        folder = harness.Folder()
        self.addCleanup(folder.remove)
        self.folder = folder.path
        (self.folder / "home").mkdir()
        self.password_file = self.folder / "password"
        self.password_file.write_text("OLD\n", "ascii")
        self.server = self.make_server(1, *self.server_options)
        self.server.start()
        self.server.add_accounts()
        self.daemon = self.make_daemon()

    def make_server(self, number, *options):
        server = Server(self.folder / f"db{number}", number, *options)
        self.addCleanup(server.stop)
        return server

    def make_daemon(self, name="a", **settings):
        daemon = harness.Daemon(self.folder, self.server, name, schema="gateway_db", **{
            **servers.settings(self.server), **QUICK,
            "MYSQL_USER": "holdfast", "MYSQL_PASSWORD_FILE": self.password_file, **settings})
        self.addCleanup(daemon.stop)
        return daemon

    def set_up_database(self):
        """The tables of gateway_db and the grants of sql/grants.sql."""
        text = GRANTS.read_text("utf-8")
        to_migrate = re.search(r"^GRANT [^;]*'holdfast_migrate'@'%';", text, re.MULTILINE)[0]
        self.server.sql(to_migrate, None)
        done = self.daemon.run("--migrate", MYSQL_USER="holdfast_migrate",
                               MYSQL_PASSWORD_FILE="", MYSQL_PASSWORD=MIGRATE_PASSWORD)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.server.sql(text, None)

    # --- the operator -----------------------------------------------------------------------------

    def shell(self, block, expect=0, server=None, daemon=None, **variables):
        """Runs a block as bash does; returns what it said."""
        server, daemon = server or self.server, daemon or self.daemon
        (self.folder / "home/.my.cnf").write_text(
            f"[client]\nuser=root\nsocket={server.socket}\nhost=localhost\n"
            "default-character-set=utf8mb4\n", "utf-8")
        environment = {
            "HOME": str(self.folder / "home"), "HOLDFAST_LISTEN": daemon.target,
            "PATH": f"{harness.BIN}:{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin",
            **{name: str(value) for name, value in variables.items()}}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=ROOT, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=4 * harness.PATIENCE, check=False)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, expect, f"{block}{said}")
        return said

    def sql(self, block, server=None, words=None):
        return (server or self.server).sql(replaced(block, words or {}), "gateway_db")

    def audit(self, block="holdfast audit --since=all", daemon=None):
        """The command must end with 0."""
        self.assertIn("The balance holds", self.shell(block, daemon=daemon))

    def assert_shown(self, block, text, words=None):
        """That a block of the page is what is really printed, with other numbers."""
        self.assertRegex(text, shape(replaced(block, words or {})))

    def assert_set_back(self, daemon, expected=True):
        reseats = daemon.metrics().sum("holdfast_lane_reseats_total")
        self.assertEqual(reseats > 0, expected, f"{reseats} lanes were set back")
