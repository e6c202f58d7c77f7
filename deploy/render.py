"""Everything under ``deploy/`` that follows from something else, written anew: ``make deploy``.

The chart is the one source of the manifests: ``deploy/kubernetes`` and ``deploy/strimzi`` are renderings of it. The
alerts and the dashboard have their home in ``deploy/prometheus`` and ``deploy/grafana``; the chart carries copies,
because a chart cannot read what lies outside its folder.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import helm_python
import yaml

DEPLOY = Path(__file__).parent
CHART = DEPLOY / "helm" / "poller"
COPIES = {"prometheus/alerts.yaml": "alerts.yaml", "grafana/poller.json": "dashboard.json"}
BASE = ("configmap", "serviceaccount", "service", "statefulset", "poddisruptionbudget", "networkpolicy")
HEADER = "# Rendered from deploy/helm/poller by `make deploy`; change it there.\n"


def rendered(values: dict[str, Any] | None = None, *, namespace: str = "sms") -> dict[str, list[dict[str, Any]]]:
    """The chart's manifests by the stem of their template. Raises what Helm refuses."""
    with helm_python.Chart.load(str(CHART)) as chart:
        chart.validate_schema(values or {})
        texts = chart.render(values or {}, name="poller", namespace=namespace)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, text in texts.items():
        if name.endswith(".yaml"):
            found[Path(name).stem] = [document for document in yaml.safe_load_all(text) if document]
    return found


def files() -> dict[Path, str]:
    """What ``deploy/kubernetes`` and ``deploy/strimzi`` must hold."""
    base, kafka = rendered(), rendered({"strimzi": {"enabled": True}})["strimzi"]
    texts = {DEPLOY / "kubernetes" / f"{name}.yaml": _text([_without_helm(document) for document in base[name]]) for name in BASE}
    texts[DEPLOY / "strimzi" / "topics.yaml"] = _text([each for each in kafka if each["kind"] == "KafkaTopic"])
    texts[DEPLOY / "strimzi" / "user.yaml"] = _text([each for each in kafka if each["kind"] == "KafkaUser"])
    return texts


def _without_helm(document: dict[str, Any]) -> dict[str, Any]:
    """A manifest as one who does not use Helm would write it: no release, no checksum."""
    for labelled in _labelled(document):
        labelled.pop("app.kubernetes.io/managed-by", None)
        labelled.pop("app.kubernetes.io/instance", None)
    if document["kind"] == "StatefulSet":
        del document["spec"]["template"]["metadata"]["annotations"]
    return document


def _labelled(value: Any) -> list[dict[str, Any]]:
    """Every set of labels in a manifest, selectors included."""
    if isinstance(value, list):
        return [labels for leaf in value for labels in _labelled(leaf)]
    if not isinstance(value, dict):
        return []
    own = [value] if "app.kubernetes.io/name" in value else []
    return own + [labels for leaf in value.values() for labels in _labelled(leaf)]


def _text(documents: list[dict[str, Any]]) -> str:
    return HEADER + "---\n".join(yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=140) for document in documents)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that the configuration can be read."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _block)


def main() -> None:
    """Write what follows; with ``--package FOLDER`` also the chart as an archive."""
    for source, copy in COPIES.items():
        if (DEPLOY / source).exists():
            shutil.copyfile(DEPLOY / source, CHART / "files" / copy)
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(path.relative_to(DEPLOY.parent))
    if sys.argv[1:2] == ["--package"]:
        print(helm_python.package(str(CHART), destination=sys.argv[2]))


if __name__ == "__main__":
    main()
