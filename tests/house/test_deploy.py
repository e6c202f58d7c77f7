"""The deploy files are accepted by validators, follow from one source, agree with each other, and hold configurations that load."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from poller.config import load as config
from poller.config.file import Topics
from poller.demo.simulator.vendors.answers import SECRETS
from poller.kafka import topics
from poller.model import DAY

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
KUBERNETES = ("1.28", "1.33", "1.36")
"""Versions that manifests are validated against: the chart's oldest, a common one, the newest that the validator knows."""

EVERYTHING: dict[str, Any] = {
    "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True},
    "dashboard": {"enabled": True},
    "strimzi": {"enabled": True},
    "cache": {"persistence": {"enabled": True, "storageClass": "fast"}},
    "imagePullSecrets": [{"name": "registry"}],
    "image": {"digest": "sha256:" + "0" * 64},
    "priorityClassName": "high",
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "sms", "operator": "Exists"}],
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.invalid:3128"}],
    "extraVolumes": [{"name": "ca", "secret": {"secretName": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/run/secrets/ca"}],
    "podLabels": {"team": "telecom"},
    "podAnnotations": {"note": "invented"},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": EVERYTHING,
    "nothing": {
        "serviceAccount": {"create": False},
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "staticMembership": False,
        "files": {},
    },
    "closed": {"networkPolicy": {"adminFrom": []}, "podDisruptionBudget": {"unhealthyPodEvictionPolicy": ""}},
}
CUSTOM = {"PodMonitor", "PrometheusRule", "KafkaTopic", "KafkaUser"}
"""Kinds of operators, which the validator does not know."""


def render() -> Any:
    """``deploy/render.py`` as a module."""
    spec = importlib.util.spec_from_file_location("render", DEPLOY / "render.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def charts() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The chart in each variant, rendered in a process of its own: Helm's runtime stays out of this one."""
    program = "import json, sys; sys.path.insert(0, 'deploy'); import render; print(json.dumps({n: render.rendered(v) for n, v in json.load(sys.stdin).items()}))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, input=json.dumps(VARIANTS), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def documents(chart: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """All manifests of one rendering."""
    return [document for group in chart.values() for document in group]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_chart_renders_valid_manifests(charts: dict[str, Any], variant: str, version: str) -> None:
    """No misspelt and no missing field, in any variant and version."""
    for document in documents(charts[variant]):
        if document["kind"] not in CUSTOM:
            kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_field_is_refused(charts: dict[str, Any]) -> None:
    """The validator can fail."""
    [wrong] = json.loads(json.dumps(charts["defaults"]["service"]))
    wrong["spec"]["selecter"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.33", strict=True)


@pytest.mark.parametrize(
    "wrong", [{"replicaCount": "two"}, {"imagge": {}}, {"config": {"kafka": {}, "accounts": []}}, {"terminationGracePeriodSeconds": 5}]
)
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    """The chart's schema names a wrong or misspelt value before anything is applied."""
    program = "import json, sys; sys.path.insert(0, 'deploy'); import render; render.rendered(json.load(sys.stdin))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, input=json.dumps(wrong), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert next(iter(wrong)) in done.stderr


def test_the_manifests_and_the_chart_have_one_source() -> None:
    """``make deploy`` would change nothing: renderings and copies are today's."""
    program = (
        "import sys; sys.path.insert(0, 'deploy'); import render, json; print(json.dumps({str(p): t for p, t in render.files().items()}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    for path, text in json.loads(done.stdout).items():
        assert Path(ROOT, path).read_text() == text, path
    for source, copy in render().COPIES.items():
        assert (DEPLOY / source).read_text() == (DEPLOY / "helm/poller/files" / copy).read_text(), copy


def test_the_charts_topics_are_those_that_run_would_make(charts: dict[str, Any]) -> None:
    """Partitions, replicas and settings; the chart says what Kafka's default is, too."""
    made = {each["metadata"]["name"]: each["spec"] for each in documents(charts["everything"]) if each["kind"] == "KafkaTopic"}
    names = {role: name for role, name in Topics().by_role().items() if name in made}
    plan = topics.wanted(names, partitions=16, shards=16, replicas=3, retention=30 * DAY)
    assert len(plan) == len(made) == 5
    for wanted in plan:
        spec = made[wanted.name]
        assert (spec["partitions"], spec["replicas"]) == (wanted.partitions, wanted.replicas), wanted.name
        assert {key: str(value) for key, value in spec["config"].items()}.items() >= wanted.settings.items(), wanted.name


def test_the_kustomization_lists_every_manifest_and_no_secret() -> None:
    """What ``kubectl apply`` applies, by folder or by kustomization, never holds a Secret."""
    listed = set(yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())["resources"])
    assert listed == {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    kinds = {yaml.safe_load((DEPLOY / "kubernetes" / name).read_text())["kind"] for name in listed}
    assert "Secret" not in kinds


@pytest.mark.parametrize("variant", ["defaults", "everything"])
def test_selectors_labels_and_ports_agree(charts: dict[str, Any], variant: str) -> None:
    """What validators do not see: the set, the service, the budget and the policy mean the same pods and the same port."""
    chart = charts[variant]
    [stateful], [service], [budget], [policy] = (chart[name] for name in ("statefulset", "service", "poddisruptionbudget", "networkpolicy"))
    pods = stateful["spec"]["template"]
    labels = pods["metadata"]["labels"].items()
    for selector in (
        stateful["spec"]["selector"]["matchLabels"], service["spec"]["selector"], budget["spec"]["selector"]["matchLabels"],
        policy["spec"]["podSelector"]["matchLabels"],
    ):  # fmt: skip
        assert selector.items() <= labels
    [check] = chart["check"]
    assert not service["spec"]["selector"].items() <= check["metadata"]["labels"].items()
    [container] = pods["spec"]["containers"]
    [port] = container["ports"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert service["spec"]["ports"][0]["port"] == port["containerPort"]
    assert policy["spec"]["ingress"][0]["ports"][0]["port"] == port["containerPort"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"] for volume in pods["spec"]["volumes"]}
    claims = {claim["metadata"]["name"] for claim in stateful["spec"].get("volumeClaimTemplates", [])}
    assert mounted == volumes | claims
    assert stateful["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 20


@pytest.mark.parametrize("place", ["chart", "kubernetes", "compose"])
def test_configurations_load(charts: dict[str, Any], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a good configuration, listens where the probes look, and keeps its cache on the writable volume."""
    monkeypatch.setenv("POD_NAME", "poller-0")
    if place == "compose":
        loaded = config.load(DEPLOY / "compose/poller.yaml")
    else:
        whole = yaml.safe_load((DEPLOY / "kubernetes/configmap.yaml").read_text())
        data = charts["defaults"]["configmap"][0]["data"] if place == "chart" else whole["data"]
        for name, text in data.items():
            (tmp_path / name).write_text(text)
        loaded = config.load(tmp_path / "poller.yaml")
    assert loaded.admin.port == 8080
    assert str(loaded.directory).startswith("/var/lib/poller")
    named = {secret.file.name for account in loaded.accounts for secret in account.credentials.values() if secret.file}
    secrets = {path.name for path in (DEPLOY / "compose/secrets").iterdir()}
    keys = set(yaml.safe_load((DEPLOY / "examples/secret.yaml").read_text())["stringData"])
    assert named == (secrets if place == "compose" else keys)


def test_compose_knows_the_simulated_secrets() -> None:
    """The files beside the composition hold what the simulated providers accept."""
    for path in (DEPLOY / "compose/secrets").iterdir():
        assert path.read_text().strip() == SECRETS[path.name]


def test_what_compose_mounts_exists() -> None:
    """Every bind mount of the composition is a file or folder of the repository."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    sources = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    assert sources
    assert not [source for source in sources if not (DEPLOY / source).exists()]


def test_the_dockerfile_is_clean() -> None:
    """hadolint finds nothing, by its report and by its exit code."""
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, "--format", "json", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_the_images_lock_is_what_is_tested() -> None:
    """Every locked version is the pinned one, with hashes, and nothing that the image needs is missing."""
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line and line[0] != "#")
    pinned = {name.strip().lower().replace("_", "-"): version.partition(" ")[0] for name, version in pinned.items()}
    lines = (DEPLOY / "requirements.lock").read_text().splitlines()
    locked = dict(line.split()[0].split("==") for line in lines if "==" in line and not line.startswith((" ", "#")))
    assert {name: version for name, version in locked.items() if pinned.get(name, version) != version} == {}
    assert {"aiokafka", "httpx", "msgspec", "rocksdict", "uvloop"} <= locked.keys()
    assert sum("--hash=sha256:" in line for line in lines) >= len(locked)
