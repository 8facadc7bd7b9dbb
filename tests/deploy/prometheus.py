"""A real Prometheus as a private process: it scrapes daemons on loopback, evaluates the alert
rules, and answers queries."""

import json
import pathlib
import re
import subprocess
import sys
import threading
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


# So much faster does time pass in the rules of a test. A scrape every second is then what one every
# half a minute is to the rules as they are.
FACTOR = 30
SCRAPE_INTERVAL = "1s"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Where a rule speaks of time: how long it holds (for: 2m), what it looks back on ([15m]), and what
# an age is compared with (..._age_seconds) > 300, time() - (...) < 900).
_PATIENCE = re.compile(r"(?<=\bfor: )(\d+)([smhd])\b")
_WINDOW = re.compile(r"(?<=\[)(\d+)([smhd])(?=\])")
AGE = r"(?:(?<=_age_seconds\) > )|(?<=> 0\) < ))\d+\b"


def milliseconds(duration):
    """A duration of the rules, as 30s or 500ms, as a number."""
    number, unit = re.fullmatch(r"(\d+)(ms|[smhd])", duration).groups()
    return int(number) * (1 if unit == "ms" else 1000 * _UNITS[unit])


def scaled(rules):
    """The same rules with every duration divided by FACTOR, for a test that cannot wait for
    minutes. What is compared, and with what, stays; a rate per second stays one."""
    def duration(match):
        return f"{int(match[1]) * _UNITS[match[2]] * 1000 // FACTOR}ms"
    rules = _PATIENCE.sub(duration, rules)
    rules = _WINDOW.sub(duration, rules)
    return re.sub(AGE, lambda match: f"{int(match[0]) // FACTOR}", rules)


class Prometheus:
    """Scrapes its targets, as the job "holdfast", and evaluates the rules, scaled. Targets may come
    and go while it runs, from several threads."""

    def __init__(self, folder, *targets):
        self.folder = pathlib.Path(folder) / "prometheus"
        self.folder.mkdir()
        self.port = harness.free_port()
        self.process = None
        self._mutex = threading.Lock()
        self._targets = set()
        self.scrape(*targets)
        (self.folder / "rules.yaml").write_text(scaled(RULES.read_text()))
        (self.folder / "prometheus.yaml").write_text(json.dumps({
            "global": {"scrape_interval": SCRAPE_INTERVAL, "scrape_timeout": SCRAPE_INTERVAL,
                       "evaluation_interval": SCRAPE_INTERVAL},
            "rule_files": [str(self.folder / "rules.yaml")],
            "scrape_configs": [{"job_name": "holdfast",
                                "file_sd_configs": [{"files": [f"{self.folder}/targets.json"],
                                                     "refresh_interval": "1s"}]}]}))

    def scrape(self, *targets):
        """From now on these as well."""
        with self._mutex:
            self._targets |= set(targets)
            self._write_targets()

    def forget(self, target):
        with self._mutex:
            self._targets.discard(target)
            self._write_targets()

    def _write_targets(self):
        new = self.folder / "targets.new"
        new.write_text(json.dumps([{"targets": sorted(self._targets)}]))
        new.replace(self.folder / "targets.json")

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

    def alerts(self, instance=None):
        """The alerts that fire now, by name; of one target if it is given."""
        return {alert["labels"]["alertname"]: alert for alert in self._api("alerts")["alerts"]
                if alert["state"] == "firing"
                and instance in (None, alert["labels"].get("instance"))}

    def wait_quiet(self):
        harness.wait_for(lambda: not self.alerts(), f"no alert to fire; see {self.folder}")
