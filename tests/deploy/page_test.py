"""The status page in a real browser before a running daemon: what it says while events flow, with a
refused event in quarantine, with stopped lanes, without the database, with a full journal and without
the daemon; in light and dark, on a desk and on a phone. Pictures of all stay in build/status-page.

Needs chromium (deploy/install-deps test) and build/tools (filled by tests/run); without them it ends
with 77."""

import json
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import threading
import unittest

from prometheus import ROOT, harness

from foreign_client import Stream, grpc, ingest_pb2, ingest_pb2_grpc, message, open_channel, usage

MEBIBYTE = 1 << 20
TOOLS = ROOT / "build/tools"
CHROMIUM = shutil.which("chromium")
PICTURES = ROOT / "build/status-page"

# Width, height, colours.
VIEWS = {"desk-light": (1280, 900, "light"), "desk-dark": (1280, 900, "dark"),
         "phone-light": (320, 640, "light"), "phone-dark": (390, 844, "dark")}

# What no page may show: it is in the events, or in the settings.
SECRET = "correct-horse-battery"
CONTENT = "poisonous-content"

# What a browser itself says of an answer that failed or did not come; the page says it, too.
OF_THE_NETWORK = "Failed to load resource"


class Browser:
    """The process behind page_browser.mjs."""

    def __init__(self, folder):
        folder.mkdir()
        self._process = subprocess.Popen(
            ["node", pathlib.Path(__file__).with_name("page_browser.mjs"), TOOLS, CHROMIUM, folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        self._lines = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def do(self, command, view, **more):
        self._process.stdin.write(json.dumps({"do": command, "view": view, **more}) + "\n")
        self._process.stdin.flush()
        try:
            line = self._lines.get(timeout=harness.PATIENCE)
        except queue.Empty:
            raise harness.Late(f"the browser did not answer: {command} {view}") from None
        if line is None:
            raise AssertionError("the browser ended; what it said stands above")
        answer = json.loads(line)
        if "failure" in answer:
            raise AssertionError(f"{command} {view}: {answer['failure']}")
        return answer

    def close(self):
        self._process.stdin.close()
        harness.end_process(self._process)
        self._process.stdout.close()


class Traffic:
    """Sends batches one after the other, as a gateway does, until it is stopped."""

    def __init__(self, channel):
        self._stream = Stream(channel, ack_level=ingest_pb2.ACK_LEVEL_JOURNALED)
        self._stream.wait_welcome()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        number = 0
        # The pause makes it a trickle for a shared machine; nothing is waited for by it.
        while not self._stopping.wait(0.05) and not self._stream.end:
            self._stream.send(number + 1, [usage(number + i) for i in range(20)]
                              + [message(number + i) for i in range(20)])
            number += 40

    def stop(self):
        self._stopping.set()
        self._thread.join()
        self._stream.cancel()


class PageTest(harness.DaemonTest):

    settings = {"HOLDFAST_JOURNAL_MAX_BYTES": 64 * MEBIBYTE,
                "HOLDFAST_JOURNAL_SEGMENT_BYTES": 8 * MEBIBYTE,
                "HOLDFAST_DRAIN_TIMEOUT": "2s"}

    def setUp(self):
        super().setUp()
        shutil.rmtree(PICTURES, ignore_errors=True)
        PICTURES.mkdir(parents=True)
        self.database.sql(f"CREATE USER gateway IDENTIFIED BY '{SECRET}';"
                          "GRANT ALL ON holdfast.* TO gateway")
        self.daemon.settings.update(MYSQL_USER="gateway", MYSQL_PASSWORD=SECRET)
        self.daemon.start()
        self.channel = open_channel(self.daemon)
        self.addCleanup(self.channel.close)
        self.traffic = None
        self.start_traffic()
        self.addCleanup(lambda: self.traffic.stop())
        self.url = f"http://127.0.0.1:{self.daemon.port}/"
        self.browser = Browser(self.folder / "browser")
        self.addCleanup(self.browser.close)
        for view, (width, height, scheme) in VIEWS.items():
            self.browser.do("open", view, url=self.url, width=width, height=height, scheme=scheme)

    def start_traffic(self):
        if self.traffic:
            self.traffic.stop()
        self.traffic = Traffic(self.channel)

    def look(self, view="desk-light", **more):
        return self.browser.do("look", view, **more)

    def wait_seen(self, condition, what):
        """Waits until every view satisfies `condition`; returns what the first one shows."""
        last = {}

        def all_do():
            last.update({view: self.look(view) for view in VIEWS})
            return all(condition(seen) for seen in last.values())
        try:
            harness.wait_for(all_do, what, interval=0.5)
        except harness.Late as late:
            shown = {view: (seen["headline"], seen["problems"], seen["quarantine"])
                     for view, seen in last.items()}
            raise harness.Late(f"{late}; shown: {shown}") from None
        return last["desk-light"]

    def wait_headline(self, part):
        return self.wait_seen(lambda seen: part in seen["headline"], f"the headline: {part}")

    def keep(self, moment, network_may_fail=False):
        """Keeps a picture of each view, and checks what holds at every moment."""
        grounds = {}
        for view in VIEWS:
            seen = self.look(view, shot=str(PICTURES / f"{moment}-{view}.png"))
            grounds[view] = seen["ground"]
            self.assertEqual(seen["scrollWidth"], seen["clientWidth"], f"{view} scrolls sideways")
            self.assertEqual(seen["headings"][:3], ["H1", "H2", "H2"])
            for line in seen["lines"]:
                self.assertTrue(line["label"] or seen["stale"], "a line that a reader cannot see")
            for problem in seen["problems"]:
                self.assertTrue(problem["cause"] and problem["remedy"], problem)
            for forbidden in (SECRET, CONTENT):
                self.assertNotIn(forbidden, seen["body"])
            heard = self.browser.do("heard", view)
            for url in heard["requests"]:
                self.assertTrue(url.startswith((self.url, "data:image/svg+xml,")), url)
            self.assertEqual(heard["faults"], [])
            self.assertEqual([said for said in heard["console"]
                              if not (network_may_fail and said.startswith(OF_THE_NETWORK))], [])
        self.assertEqual(grounds["desk-light"], grounds["phone-light"])
        self.assertEqual(grounds["desk-dark"], grounds["phone-dark"])
        self.assertNotEqual(grounds["desk-light"], grounds["desk-dark"])

    def test_what_it_says_in_good_and_bad_times(self):
        self.all_is_well()
        self.the_keyboard_reaches_what_can_be_followed()
        self.an_event_is_refused()
        self.lanes_are_stopped()
        self.the_database_is_away()
        self.the_journal_is_full()
        self.the_database_comes_back()
        self.the_daemon_hangs()
        self.the_daemon_is_gone_and_comes_back()

    def all_is_well(self):
        def flows(seen):
            return (seen["headline"] == "All is well." and "events/s" in seen["flows"]["because"]
                    and all(line["path"] for line in seen["lines"]))
        seen = self.wait_seen(flows, "a page on which events flow")
        self.assertEqual(seen["grade"], "good")
        self.assertEqual((seen["safe"]["answer"], seen["flows"]["answer"]), ("Yes", "Yes"))
        self.assertEqual(seen["problems"], [])
        self.assertEqual({name: station["grade"] for name, station in seen["stations"].items()},
                         dict.fromkeys(("gateways", "journal", "lanes", "database"), "good"))
        self.assertEqual(seen["stations"]["gateways"]["figure"], "1 stream")
        self.assertEqual(seen["quarantine"], "Empty.")
        self.assertIn("The balance is even", seen["books"]["note"])
        self.assertIn("Holdfast: All is well.", seen["title"])
        self.keep("well")

    def the_keyboard_reaches_what_can_be_followed(self):
        self.assertEqual(self.browser.do("tab", "desk-light")["reached"],
                         ["readyz", "status", "history", "circuits", "quarantine", "metrics", "help"])

    def an_event_is_refused(self):
        # Its name comes from outside, and is no markup.
        self.database.sql("ALTER TABLE message ADD CONSTRAINT `<i>no_poison</i>` "
                          f"CHECK (text <> '{CONTENT}')")
        ingest_pb2_grpc.IngestServiceStub(self.channel).Write(ingest_pb2.WriteRequest(
            batch=ingest_pb2.EventBatch(events=[message(10 ** 9, text=CONTENT)]),
            wait_for=ingest_pb2.ACK_LEVEL_COMMITTED), timeout=60)
        seen = self.wait_headline("quarantine")
        self.assertEqual(seen["grade"], "warning")
        self.assertEqual((seen["safe"]["answer"], seen["flows"]["answer"]), ("Yes", "Yes"))
        self.assertEqual(len(seen["quarantined"]), 1)
        self.assertIn("message: error 4025, column <i>no_poison</i>", seen["quarantined"][0])
        self.assertEqual(seen["books"]["quarantined"], "1")
        code, text = self.daemon.page("/api/v1/quarantine")
        self.assertEqual(code, 200)
        (event,) = json.loads(text)["events"]
        self.assertEqual((event["kind"], event["errno_code"], event["event_json"]),
                         ("message", 4025, ""))
        self.assertNotIn(CONTENT, text)
        self.keep("quarantine")

    def lanes_are_stopped(self):
        self.database.sql("RENAME TABLE usage_records TO usage_records_elsewhere")
        seen = self.wait_headline("1 of 6 lanes to the database has stopped")
        self.assertEqual(seen["grade"], "warning")
        self.assertEqual((seen["safe"]["answer"], seen["flows"]["answer"]), ("Yes", "In part"))
        self.assertEqual(seen["stations"]["lanes"]["grade"], "warning")
        self.assertEqual(seen["stations"]["database"]["grade"], "good")
        self.assertIn("usage_records", seen["problems"][0]["cause"])
        self.keep("stopped")
        self.database.sql("RENAME TABLE usage_records_elsewhere TO usage_records")
        self.wait_headline("quarantine")

    def the_database_is_away(self):
        self.database.stop()
        seen = self.wait_seen(
            lambda seen: seen["headline"] == "The database is away." and seen["quarantined"] == [],
            "a page without the database")
        self.assertEqual(seen["grade"], "warning")
        self.assertEqual((seen["safe"]["answer"], seen["flows"]["answer"]), ("Yes", "Held up"))
        self.assertEqual(seen["stations"]["database"], seen["stations"]["database"]
                         | {"grade": "warning", "state": "away"})
        self.assertIn("cannot be reached", seen["problems"][0]["cause"])
        self.assertRegex(seen["body"], r"last failure\s+\S.*\d\d:\d\d.*: .*connect")
        # An error, in the page and behind it, and no empty list.
        self.assertIn("cannot be read", seen["quarantine"])
        code, text = self.daemon.page("/api/v1/quarantine")
        self.assertEqual(code, 503)
        self.assertIn("the quarantine cannot be read", json.loads(text)["error"])
        self.wait_seen(lambda seen: seen["books"]["pending"] not in ("0", "?"), "events that wait")
        self.keep("away", network_may_fail=True)

    def the_journal_is_full(self):
        ingest = ingest_pb2_grpc.IngestServiceStub(self.channel)
        with self.assertRaises(grpc.RpcError):
            for number in range(400):
                event = message(2 * 10 ** 9 + number, raw_json="x" * (900 << 10))
                ingest.Write(ingest_pb2.WriteRequest(
                    batch=ingest_pb2.EventBatch(events=[event]),
                    wait_for=ingest_pb2.ACK_LEVEL_JOURNALED), timeout=60)
        seen = self.wait_headline("The journal is full.")
        self.assertEqual(seen["grade"], "bad")
        self.assertEqual((seen["safe"]["answer"], seen["flows"]["answer"]), ("Yes", "No"))
        self.assertEqual(seen["stations"]["gateways"]["state"], "events are refused")
        self.assertIn("HOLDFAST_JOURNAL_MAX_BYTES", seen["problems"][0]["remedy"])
        code, text = self.daemon.page("/health")
        self.assertEqual((code, json.loads(text)["status"]), (503, "unhealthy"))
        self.keep("full", network_may_fail=True)

    def the_database_comes_back(self):
        self.database.start()
        # The stream ended with the full journal, as it should: the gateway connects again.
        self.daemon.wait_drained()
        self.start_traffic()
        seen = self.wait_headline("quarantine")
        self.assertEqual(seen["flows"]["answer"], "Yes")
        self.assertEqual(len(seen["quarantined"]), 1)
        self.assertIn("The balance is even", seen["books"]["note"])
        self.keep("back", network_may_fail=True)

    def the_daemon_hangs(self):
        self.daemon.process.send_signal(signal.SIGSTOP)
        seen = self.wait_headline("No answer from the daemon since")
        self.assertTrue(seen["stale"])
        self.wait_seen(lambda seen: "did not answer within 4 s" in seen["problems"][0]["cause"],
                       "the reason why there is no answer")
        self.daemon.process.send_signal(signal.SIGCONT)
        self.assertFalse(self.wait_headline("quarantine")["stale"])

    def the_daemon_is_gone_and_comes_back(self):
        self.traffic.stop()
        self.daemon.kill()
        seen = self.wait_headline("No answer from the daemon since")
        self.assertEqual((seen["grade"], seen["stale"]), ("bad", True))
        self.assertEqual(seen["safe"]["grade"], "unknown")
        self.assertIn("cannot be reached", seen["problems"][0]["cause"])
        self.assertIn("What follows is old", seen["body"])
        self.keep("gone", network_may_fail=True)
        self.daemon.start()
        self.start_traffic()
        seen = self.wait_headline("quarantine")
        self.assertFalse(seen["stale"])
        self.keep("again", network_may_fail=True)


class PlainTest(harness.DaemonTest):

    def test_a_terminal_gets_words_and_machines_get_json(self):
        self.database.stop()
        self.daemon.start(ready=False)
        code, text = self.daemon.page("/")
        self.assertEqual(code, 200)
        self.assertIn("/api/v1/quarantine", text)
        self.assertNotIn("<", text)
        code, text = self.daemon.page("/health")
        self.assertEqual(code, 200)
        self.assertIn(json.loads(text)["status"], ("healthy", "degraded"))
        code, text = self.daemon.page("/api/v1/circuits")
        (circuit,) = json.loads(text)["circuits"]
        self.assertEqual(circuit["config"]["failure_threshold"], 5)
        self.assertEqual(self.daemon.page("/api/v1/quarantine?page_size=x")[0], 400)
        self.assertEqual(self.daemon.page("/api/v1/quarantine")[0], 503)


if __name__ == "__main__":
    if not CHROMIUM:
        print("chromium is not installed: run deploy/install-deps test")
        sys.exit(77)
    if not (TOOLS / "node_modules/playwright-core").exists():
        print("playwright-core is not in build/tools: tests/run installs it")
        sys.exit(77)
    unittest.main()
