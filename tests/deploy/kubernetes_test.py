"""deploy/kustomize: every overlay builds, fits the API's schemas, and keeps what the pages promise:
grace periods, hardening, room for the journal, settings that the daemon takes.

Needs kubectl to build the overlays and build/tools (filled by tests/run) for the schemas; says so and
skips where one is missing."""

import functools
import json
import pathlib
import re
import shutil
import subprocess
import unittest

import yaml

from prometheus import ROOT, harness

KUSTOMIZE = ROOT / "deploy/kustomize"
OVERLAYS = sorted(path.name for path in (KUSTOMIZE / "overlays").iterdir())
TOOLS = ROOT / "build/tools"
SPARE_SECONDS = 5
MEASURED_BYTES = 96 << 20


@functools.cache
def objects_of(overlay):
    done = subprocess.run(["kubectl", "kustomize", KUSTOMIZE / "overlays" / overlay],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return list(yaml.safe_load_all(done.stdout))


def of_kind(overlay, *kinds):
    return [found for found in objects_of(overlay) if found["kind"] in kinds]


def pod_of(overlay):
    (workload,) = of_kind(overlay, "Deployment", "StatefulSet")
    return workload["spec"]["template"]


def holdfast_of(pod):
    containers = pod["spec"]["containers"] + pod["spec"].get("initContainers", [])
    (found,) = [each for each in containers if each["name"] == "holdfast"]
    return found


def settings_of(overlay):
    (found,) = of_kind(overlay, "ConfigMap")
    return found["data"]


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def size(text):
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)B?", text).groups()
    return int(number) << {"Mi": 20, "Gi": 30}[unit]


def example_secrets():
    with open(KUSTOMIZE / "base/database-secret.example.yaml", encoding="utf-8") as file:
        return list(yaml.safe_load_all(file))


def each_overlay(test):
    """The test, for one overlay after another."""
    @functools.wraps(test)
    def for_all(self):
        for overlay in OVERLAYS:
            with self.subTest(overlay=overlay):
                test(self, overlay)
    return for_all


@unittest.skipUnless(shutil.which("kubectl"), "kubectl is not installed: nothing can be built")
class OverlaysTest(unittest.TestCase):

    def test_they_fit_the_schemas(self):
        if not (TOOLS / "node_modules/kubernetes-models").exists():
            self.skipTest("the schemas are not in build/tools: tests/run installs them")
        objects = {json.dumps(found, sort_keys=True): found for overlay in OVERLAYS
                   for found in objects_of(overlay)}
        everything = list(objects.values()) + example_secrets()
        self.assertGreater(len(everything), 12)
        work = harness.Folder()
        self.addCleanup(work.remove)
        faults = self.hold_against_schemas(everything, work)
        self.assertEqual(faults, "")
        # The check can fail: a value, and a field that does not exist.
        pod = pod_of(OVERLAYS[0])["spec"]
        faults = self.hold_against_schemas(
            [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "broken"},
              "spec": {**pod, **fault}} for fault in ({"dnsPolicy": 7}, {"dnsPolice": "None"})],
            work)
        self.assertIn("dnsPolicy", faults)
        self.assertIn('"dnsPolice"', faults)

    def hold_against_schemas(self, objects, work):
        done = subprocess.run(
            ["node", pathlib.Path(__file__).parent / "kubernetes_schemas.mjs", TOOLS,
             work.path / "types"], input=json.dumps(objects), capture_output=True, text=True,
            check=False)
        self.assertEqual(done.stderr, "")
        return done.stdout

    @each_overlay
    def test_the_grace_period_is_what_gateway_and_drain_need(self, overlay):
        pod = pod_of(overlay)
        container = holdfast_of(pod)
        drain = seconds(settings_of(overlay)["HOLDFAST_DRAIN_TIMEOUT"])
        gateway = seconds(pod["metadata"]["annotations"]["holdfast/gateway-stop"])
        if container.get("restartPolicy") == "Always":  # It ends after the gateway.
            self.assertIn(container, pod["spec"]["initContainers"])
            needed = gateway + drain
        else:
            command = container["lifecycle"]["preStop"]["exec"]["command"]
            (waits,) = [seconds(word.split("=")[1]) for word in command
                        if word.startswith("--timeout=")]
            needed = max(gateway, waits + drain)
        self.assertEqual(pod["spec"]["terminationGracePeriodSeconds"], needed + SPARE_SECONDS)

    @each_overlay
    def test_nothing_runs_with_more_rights_than_it_needs(self, overlay):
        for workload in of_kind(overlay, "Deployment", "StatefulSet", "Job"):
            spec = workload["spec"]["template"]["spec"]
            self.assertIs(spec["automountServiceAccountToken"], False)
            self.assertIs(spec["securityContext"]["runAsNonRoot"], True)
            self.assertEqual(spec["securityContext"]["seccompProfile"]["type"],
                             "RuntimeDefault")
            for container in spec["containers"] + spec.get("initContainers", []):
                rights = container["securityContext"]
                self.assertIs(rights["allowPrivilegeEscalation"], False)
                self.assertIs(rights["readOnlyRootFilesystem"], True)
                self.assertEqual(rights["capabilities"], {"drop": ["ALL"]})
                self.assertIn("memory", container["resources"]["limits"])
                self.assertNotEqual(container["image"].rpartition(":")[2], "latest")

    @each_overlay
    def test_memory_is_what_was_measured_and_as_much_again(self, overlay):
        resources = holdfast_of(pod_of(overlay))["resources"]
        self.assertGreaterEqual(size(resources["requests"]["memory"]), MEASURED_BYTES)
        self.assertGreaterEqual(size(resources["limits"]["memory"]), 2 * MEASURED_BYTES)

    @each_overlay
    def test_the_journal_fits_its_volume(self, overlay):
        journal = size(settings_of(overlay)["HOLDFAST_JOURNAL_MAX_BYTES"])
        (workload,) = of_kind(overlay, "Deployment", "StatefulSet")
        claims = list(workload["spec"].get("volumeClaimTemplates", []))
        volumes = {volume["name"]: volume for volume in pod_of(overlay)["spec"]["volumes"]}
        if "ephemeral" in volumes.get("holdfast-journal", {}):
            claims.append(volumes["holdfast-journal"]["ephemeral"]["volumeClaimTemplate"])
        for claim in claims:
            room = size(claim["spec"]["resources"]["requests"]["storage"])
            self.assertGreaterEqual(room, journal * 5 // 4)
        self.assertTrue(claims or "hostPath" in volumes["holdfast-journal"])

    @each_overlay
    def test_gateway_and_holdfast_share_the_socket_and_its_group(self, overlay):
        pod = pod_of(overlay)
        container = holdfast_of(pod)
        (gateway,) = [each for each in pod["spec"]["containers"] if each["name"] == "gateway"]
        places = [{mount["name"]: mount["mountPath"] for mount in each["volumeMounts"]}
                  ["holdfast-socket"] for each in (container, gateway)]
        self.assertEqual(places[0], places[1])
        listen = settings_of(overlay)["HOLDFAST_LISTEN"]
        # In a folder that the daemon itself makes: a volume's own folder is open to everybody.
        self.assertRegex(listen, f"^unix:{places[0]}/[a-z]+/[a-z.]+$")
        self.assertEqual(gateway["env"][0]["value"], listen)
        self.assertEqual(pod["spec"]["securityContext"]["fsGroup"],
                         container["securityContext"]["runAsGroup"])

    @each_overlay
    def test_ports_that_others_name_are_declared(self, overlay):
        spec = pod_of(overlay)["spec"]
        declared = {port["name"] for each in spec["containers"] + spec.get("initContainers", [])
                    for port in each.get("ports", [])}
        (monitor,) = of_kind(overlay, "PodMonitor")
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            self.assertIn(endpoint["port"], declared)
            self.assertLess(seconds(endpoint["interval"]),
                            seconds(settings_of(overlay)["HOLDFAST_DRAIN_TIMEOUT"]))
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.assertIn(holdfast_of({"spec": spec})[probe]["httpGet"]["port"], declared)
        labels = pod_of(overlay)["metadata"]["labels"]
        (policy,) = [each for each in of_kind(overlay, "NetworkPolicy")
                     if each["metadata"]["name"] == "holdfast-pods"]
        for chosen in (policy["spec"]["podSelector"], monitor["spec"]["selector"]):
            self.assertLessEqual(chosen["matchLabels"].items(), labels.items())
        for rule in policy["spec"]["ingress"]:
            for port in rule["ports"]:
                self.assertIn(port["port"], declared)

    @each_overlay
    def test_the_daemon_takes_the_settings(self, overlay):
        environment = {"PATH": "/usr/bin", "MYSQL_USER": "holdfast", **settings_of(overlay)}
        done = subprocess.run([harness.BIN / "holdfastd", "--check_config"], env=environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        # What Kubernetes would add for a Service called mysql would end the start.
        for workload in of_kind(overlay, "Deployment", "StatefulSet", "Job"):
            self.assertIs(workload["spec"]["template"]["spec"]["enableServiceLinks"], False)

    @each_overlay
    def test_names_that_are_referred_to_exist(self, overlay):
        secrets = {found["metadata"]["name"]: set(found["stringData"])
                   for found in example_secrets()}
        maps = {found["metadata"]["name"] for found in of_kind(overlay, "ConfigMap")}
        for workload in of_kind(overlay, "Deployment", "StatefulSet", "Job"):
            spec = workload["spec"]["template"]["spec"]
            for volume in spec["volumes"]:
                if "secret" in volume:
                    keys = {item["key"] for item in volume["secret"]["items"]}
                    self.assertLessEqual(keys, secrets[volume["secret"]["secretName"]])
            for container in spec["containers"] + spec.get("initContainers", []):
                for source in container.get("envFrom", []):
                    self.assertIn(source["configMapRef"]["name"], maps)
                for variable in container.get("env", []):
                    key = variable.get("valueFrom", {}).get("secretKeyRef")
                    if key:
                        self.assertIn(key["key"], secrets[key["name"]])


if __name__ == "__main__":
    unittest.main()
