"""What operators are given agrees with itself: rules, their tests, the runbook, the dashboard, the
PrometheusRule and the unit file.

    operators_test.py            the tests
    operators_test.py --rewrite  makes the PrometheusRule anew from the alert rules
"""

import json
import re
import shutil
import subprocess
import sys
import unittest

import yaml

import prometheus
from prometheus import ROOT, RULES

RULE_OBJECT = ROOT / "deploy/kustomize/components/monitoring/prometheus-rule.yaml"
DASHBOARD = ROOT / "deploy/grafana/holdfast.json"
RUNBOOK = ROOT / "deploy/RUNBOOK.md"
UNIT = ROOT / "deploy/systemd/holdfastd.service"


def alerts():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def rule_object():
    rules = RULES.read_text()
    rules = rules[rules.index("groups:"):]
    indented = "".join(f"  {line}" if line.strip() else line
                       for line in rules.splitlines(keepends=True))
    return ("# Made from deploy/prometheus/alerts.yaml by tests/deploy/operators_test.py "
            "--rewrite.\n"
            "apiVersion: monitoring.coreos.com/v1\n"
            "kind: PrometheusRule\n"
            "metadata:\n"
            "  name: holdfast\n"
            "spec:\n" + indented)


def fires_and_clears(test, alert):
    """Whether a test of promtool's sees this alert alone fire, and later none, by one query."""
    asked = sorted(test.get("promql_expr_test", ()),
                   key=lambda check: prometheus.milliseconds(check["eval_time"]))
    fired = [check["expr"] for check in asked if check["exp_samples"] == [
        {"labels": f'{{alertname="{alert}"}}', "value": 1}]]
    return bool(fired) and asked[-1]["expr"] == fired[-1] and asked[-1]["exp_samples"] == []


def anchors(page):
    """The anchors that a page's headings make, as GitHub and most renderers do."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
            for heading in headings}


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          cwd=ROOT, check=False)


class AlertsTest(unittest.TestCase):

    def test_promtool_finds_no_fault_in_the_rules(self):
        done = run("promtool", "check", "rules", RULES)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_rule_fires_and_clears(self):
        done = run("promtool", "test", "rules", RULES.with_name("alerts_test.yaml"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        tests = yaml.safe_load(RULES.with_name("alerts_test.yaml").read_text())["tests"]
        for rule in alerts():
            with self.subTest(alert=rule["alert"]):
                self.assertTrue(any(fires_and_clears(test, rule["alert"]) for test in tests))

    def test_each_says_what_it_means_and_what_to_do(self):
        self.assertGreater(len(alerts()), 20)
        for rule in alerts():
            with self.subTest(alert=rule["alert"]):
                self.assertIn(rule["labels"]["severity"], ("page", "ticket"))
                self.assertTrue(rule["annotations"]["summary"])
                self.assertGreater(len(rule["annotations"]["description"]), 60)
                path, anchor = rule["annotations"]["runbook_url"].split("#")
                self.assertEqual(ROOT / path, RUNBOOK)
                self.assertEqual(anchor, rule["alert"].lower())
                self.assertIn(anchor, anchors(RUNBOOK))

    def test_rules_and_dashboard_speak_of_metrics_that_exist(self):
        known = set(prometheus.documented_metrics())
        asked = " ".join(rule["expr"] for rule in alerts())
        self.assertEqual(prometheus.families_of(asked) - known, set())
        dashboard = json.loads(DASHBOARD.read_text())
        queries = " ".join(target["expr"] for panel in dashboard["panels"]
                           for target in panel.get("targets", ()))
        self.assertEqual(prometheus.families_of(queries) - known, set())
        # The other way round as well: what is exported is to be seen.
        hidden = known - prometheus.families_of(queries) - {"process_virtual_memory_bytes"}
        self.assertEqual(hidden, set(), "in no panel of the dashboard")

    def test_the_object_for_the_operator_has_the_same_rules(self):
        self.assertEqual(RULE_OBJECT.read_text(), rule_object(),
                         "to mend it: tests/deploy/operators_test.py --rewrite")
        self.assertEqual(yaml.safe_load(RULE_OBJECT.read_text())["spec"],
                         yaml.safe_load(RULES.read_text()))


class DashboardTest(unittest.TestCase):

    def test_it_is_what_grafana_reads(self):
        dashboard = json.loads(DASHBOARD.read_text())
        panels = dashboard["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        rows = [panel["title"] for panel in panels if panel["type"] == "row"]
        self.assertEqual(rows, ["Does it flow?", "Where is it stuck?", "Database", "Journal",
                                "Quarantine and refusals", "Resources"])
        taken = set()
        for panel in panels:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & taken, panel["title"])
            self.assertLessEqual(place["x"] + place["w"], 24)
            taken |= cells


class UnitTest(unittest.TestCase):

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_systemd_takes_the_unit(self):
        done = run("systemd-analyze", "verify", "--man=no", UNIT)
        # The program itself need not be installed here.
        faults = [line for line in (done.stdout + done.stderr).splitlines()
                  if "holdfastd" in line and "is not executable" not in line]
        self.assertEqual(faults, [])

    def test_it_leaves_the_drain_its_time(self):
        unit = UNIT.read_text()
        drain = int(re.search(r"^Environment=HOLDFAST_DRAIN_TIMEOUT=(\d+)s$", unit, re.M)[1])
        stop = int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.M)[1])
        self.assertEqual(stop, drain + 5)


if __name__ == "__main__":
    if sys.argv[1:] == ["--rewrite"]:
        RULE_OBJECT.write_text(rule_object())
    else:
        unittest.main()
