"""A real Prometheus as a private process: it scrapes one daemon on loopback, evaluates the alert
rules, and answers queries."""

import json
import pathlib
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import harness  # noqa: E402  pylint: disable=wrong-import-position

RULES = ROOT / "deploy/prometheus/alerts.yaml"
METRICS_PAGE = ROOT / "deploy/METRICS.md"


def documented_metrics():
    """Name to type of every metric in the first table of deploy/METRICS.md."""
    return dict(re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", METRICS_PAGE.read_text(),
                           re.MULTILINE))


def families_of(text):
    """The metrics that an expression or a list of names speaks of, by their families."""
    known = documented_metrics()
    found = set()
    for name in re.findall(r"\b(?:holdfast|process)_[a-z_]+", text):
        for suffix in ("", "_bucket", "_sum", "_count"):
            if name.endswith(suffix) and name.removesuffix(suffix) in known:
                found.add(name.removesuffix(suffix))
                break
        else:
            found.add(name)
    return found


def quickened(rules):
    """The same rules for a test that cannot wait: an hour's patience becomes seconds. What is
    compared, and with what, stays, but for the age of the oldest event."""
    rules = re.sub(r"\bfor: \w+", "for: 1s", rules)
    rules = re.sub(r"\[\d+m\]", "[10s]", rules)
    return rules.replace("age_seconds) > 300", "age_seconds) > 3")


class Prometheus:
    """Scrapes `target` every half a second as the job "holdfast"."""

    def __init__(self, folder, target):
        self.folder = pathlib.Path(folder) / "prometheus"
        self.folder.mkdir()
        self.port = harness.free_port()
        self.process = None
        (self.folder / "rules.yaml").write_text(quickened(RULES.read_text()))
        (self.folder / "prometheus.yaml").write_text(json.dumps({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms",
                       "evaluation_interval": "500ms"},
            "rule_files": [str(self.folder / "rules.yaml")],
            "scrape_configs": [{"job_name": "holdfast",
                                "static_configs": [{"targets": [target]}]}]}))

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.folder}/prometheus.yaml",
                 f"--storage.tsdb.path={self.folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        harness.wait_for(lambda: self._get("/-/ready")[0] == 200,
                         f"Prometheus to be ready; see {self.folder}/log")

    def stop(self):
        harness.end_process(self.process)

    def _get(self, path):
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text()[-2000:])
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}",
                                        timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def _api(self, path, **arguments):
        code, text = self._get(f"/api/v1/{path}?{urllib.parse.urlencode(arguments)}")
        if code != 200:
            raise AssertionError(f"{path} {arguments}: {code} {text}")
        return json.loads(text)["data"]

    def query(self, expression):
        """The series of an instant query."""
        return self._api("query", query=expression)["result"]

    def value(self, expression):
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def names(self):
        return set(self._api("label/__name__/values"))

    def rules(self):
        groups = self._api("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self):
        """The names of the alerts that fire now."""
        return {alert["labels"]["alertname"] for alert in self._api("alerts")["alerts"]
                if alert["state"] == "firing"}

    def wait_firing(self, *names):
        missing = set(names)
        harness.wait_for(lambda: missing <= self.firing(),
                         f"{sorted(names)} to fire; see {self.folder}")

    def wait_quiet(self):
        harness.wait_for(lambda: not self.firing(), f"no alert to fire; see {self.folder}")
