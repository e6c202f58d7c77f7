"""The deploy files are accepted by validators, agree with each other, and hold a configuration that loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from poller.config import load as config

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def manifest(name: str) -> dict[str, Any]:
    """One manifest."""
    return yaml.safe_load((DEPLOY / "kubernetes" / f"{name}.yaml").read_text())


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_are_valid(path: Path) -> None:
    """No misspelt and no missing field."""
    kubernetes_validate.validate(yaml.safe_load(path.read_text()), "1.33", strict=True)


def test_a_misspelt_field_is_refused() -> None:
    """The validator can fail."""
    wrong = manifest("service")
    wrong["spec"]["selecter"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.33", strict=True)


def test_the_dockerfile_is_clean() -> None:
    """hadolint finds nothing, by its report and by its exit code."""
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, "--format", "json", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_selectors_labels_and_ports_agree() -> None:
    """What validators do not see: the set, the service and the budget mean the same pods and the same port."""
    pods = manifest("statefulset")["spec"]["template"]
    labels = pods["metadata"]["labels"]
    for selector in (
        manifest("statefulset")["spec"]["selector"]["matchLabels"],
        manifest("service")["spec"]["selector"],
        manifest("poddisruptionbudget")["spec"]["selector"]["matchLabels"],
    ):
        assert selector == labels
    [container] = pods["spec"]["containers"]
    [port] = container["ports"]
    assert manifest("service")["spec"]["ports"][0]["targetPort"] == port["name"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]
    assert manifest("service")["spec"]["ports"][0]["port"] == port["containerPort"]


def test_the_configuration_in_the_config_map_loads(tmp_path: Path) -> None:
    """It is a good configuration, listens where the probes look, and keeps its cache on the writable volume."""
    data = manifest("configmap")["data"]
    for name, text in data.items():
        (tmp_path / name).write_text(text)
    loaded = config.load(tmp_path / "poller.yaml")
    assert loaded.admin.port == 8080
    assert str(loaded.directory).startswith("/var/lib/poller")
    keys = set(manifest("secret.example")["stringData"])
    named = {secret.file.name for account in loaded.accounts for secret in account.credentials.values() if secret.file}
    assert named == keys
