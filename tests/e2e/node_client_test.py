"""A gateway in Node, from the contract's files alone: it streams through a kill of the daemon, and what
README.md shows of it is what runs here."""

import json
import re
import shutil
import subprocess
import unittest

import harness

TOOLS = harness.ROOT / "build/tools"
GATEWAY = harness.ROOT / "tests/e2e/node_gateway.mjs"
EVENTS = 6000


class ReadmeTest(unittest.TestCase):

    def test_what_the_readme_shows_of_node_is_what_runs(self):
        shown = re.search(r"in Node:\n\n((?: {4}.*\n)+)", (harness.ROOT / "README.md").read_text())
        runs = {line.strip() for line in GATEWAY.read_text().splitlines()}
        self.assertEqual([line for line in shown[1].splitlines() if line.strip() not in runs], [])


@unittest.skipUnless(shutil.which("node"), "node is not installed")
@unittest.skipUnless((TOOLS / "node_modules/@grpc/grpc-js").exists(),
                     "@grpc/grpc-js is not in build/tools: tests/run installs it")
class NodeClientTest(harness.DaemonTest):

    def setUp(self):
        super().setUp()
        self.daemon.start()
        self.gateway = subprocess.Popen(
            ["node", GATEWAY, TOOLS, harness.ROOT / "proto", self.daemon.target, str(EVENTS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.gateway.stdout.close)
        self.addCleanup(harness.end_process, self.gateway)

    def test_it_goes_on_after_a_kill_hears_of_its_refusals_and_counts_everything_once(self):
        self.assertEqual(self.gateway.stdout.readline(), "half\n")
        self.daemon.kill()
        self.daemon.start()
        said, _ = self.gateway.communicate("go on\n", timeout=harness.PATIENCE)
        self.assertEqual(self.gateway.returncode, 0)
        heard = json.loads(said)
        self.assertEqual([result["outcome"] for result in heard["written"]],
                         ["OUTCOME_COMMITTED"])
        self.assertGreaterEqual(heard["streams"], 2)
        self.assertEqual({(error["sequence"], error["field"]) for error in heard["errors"]},
                         {(7, "usage.api_key_id")})
        # Of the stream's events one was refused, and the one before the stream was no other kind.
        usages = EVENTS - EVENTS // 10
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), usages)
        self.assertEqual(self.database.number("SELECT SUM(requests) FROM usage_stats"), usages)
        self.assertEqual(self.database.number("SELECT SUM(request_count) FROM rate_limit_records"),
                         3 * EVENTS // 10)
        self.assert_books(self.daemon, accepted=EVENTS, committed=EVENTS)


if __name__ == "__main__":
    unittest.main()
