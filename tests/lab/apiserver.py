"""``make apiserver``: chart, manifests and Strimzi resources applied to a real Kubernetes API server, by server-side apply.

The API server and kubectl are built from the Go module of Kubernetes, etcd comes from Debian, the custom kinds from their operators' own types
(the Prometheus operator's by controller-gen, Strimzi's by its generator). There is no controller, no scheduler and no node: what is judged
is whether the server takes each object, strictly, and whether the pods are allowed where only restricted ones are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jgo.env
import jgo.maven
import platformdirs
import yaml

from poller.config.example import EXAMPLE
from poller.demo.kafka.broker import die_with_parent
from poller.demo.kafka.jars import fetch
from tests.house.test_deploy import VARIANTS, render
from tests.lab.observe.outages import free_port

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
BUILT = ROOT / "build" / "apiserver"
STRIMZI = "1.2.0"
MONITORING = "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
WAIT_S = 120.0
"""How long the server may take to start; the machine may be busy."""

TOKEN = "the-trials-own"
"""What lets kubectl in: the server lives as long as the trial, on loopback."""

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
"""The labels of a namespace where only restricted pods are allowed (Pod Security Standards)."""


@dataclass
class Server:
    """How the server is reached."""

    address: str
    certificate: Path

    def kubectl(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """One call, whatever it says."""
        way = ("--server", self.address, "--certificate-authority", str(self.certificate), "--token", TOKEN)
        environment = {**os.environ, "KUBECONFIG": os.devnull}
        command = [str(BUILT / "kubectl"), *way, *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)

    def apply(self, *arguments: str, given: str | None = None) -> str | None:
        """Server-side apply, where no misspelt or doubled field is forgiven; what is wrong, warnings included."""
        done = self.kubectl("apply", "--server-side", "--validate=strict", *arguments, given=given)
        said = done.stderr.strip()
        return said or f"it ended with {done.returncode}" if done.returncode or said else None

    def namespace(self, name: str) -> None:
        """Make one that allows only restricted pods."""
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        wrong = self.apply("-f", "-", given=text([made, account]))  # a controller would make the account
        assert wrong is None, wrong

    def versions(self, namespace: str) -> dict[str, str]:
        """The version of every object of ours."""
        done = self.kubectl("get", "-n", namespace, KINDS, "-o", "json")
        assert done.returncode == 0, done.stderr
        return {
            f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["resourceVersion"] for each in json.loads(done.stdout)["items"]
        }


KINDS = "configmaps,services,serviceaccounts,statefulsets,poddisruptionbudgets,networkpolicies,podmonitors,prometheusrules,kafkatopics,kafkausers"


def need() -> None:
    """Raises SystemExit, with what to install."""
    if shutil.which("etcd") is None:
        raise SystemExit("apiserver needs etcd: apt-get install etcd-server")


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """etcd and the API server, on loopback, in a folder."""
    client, peer, port = free_port(), free_port(), free_port()
    key = folder / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
    listen, listen_peer = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    etcd = ["etcd", "--data-dir", f"{folder}/etcd", f"--listen-client-urls={listen}", f"--advertise-client-urls={listen}"]
    etcd += [
        f"--listen-peer-urls={listen_peer}",
        f"--initial-advertise-peer-urls={listen_peer}",
        f"--initial-cluster=default={listen_peer}",
    ]
    keys = [
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://trial.invalid",
    ]
    api = [str(BUILT / "kube-apiserver"), f"--etcd-servers={listen}", "--bind-address=127.0.0.1", f"--secure-port={port}", *keys]
    api += [f"--cert-dir={folder}/certificates", f"--token-auth-file={folder}/tokens.csv", "--authorization-mode=RBAC"]
    started = []
    try:
        for name, command in (("etcd", etcd), ("api", api)):
            with (folder / f"{name}.log").open("wb") as log:
                started.append(subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent))
        server = Server(f"https://127.0.0.1:{port}", folder / "certificates" / "apiserver.crt")
        end = time.monotonic() + WAIT_S
        while server.kubectl("get", "--raw", "/readyz").returncode:
            if time.monotonic() > end:
                raise SystemExit(f"the API server does not start:\n{(folder / 'api.log').read_text()[-2000:]}")
            time.sleep(1)
        yield server
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def kinds(folder: Path) -> None:
    """The definitions of the custom kinds, made of their operators' own types."""
    generator = BUILT / "crds" / "controller-gen"
    subprocess.run([generator, "crd", f"paths={MONITORING}", f"output:crd:dir={folder}"], cwd=BUILT / "crds", check=True)
    for other in folder.iterdir():
        if other.stem.split("_")[1] not in ("podmonitors", "prometheusrules"):
            other.unlink()
    cache = Path(platformdirs.user_cache_dir("poller")) / f"strimzi-{STRIMZI}"
    context = jgo.maven.MavenContext(repo_cache=cache / "maven", resolver=jgo.maven.PythonResolver())
    endpoint = f"io.strimzi:crd-generator:{STRIMZI}+io.strimzi:api:{STRIMZI}+org.slf4j:slf4j-nop:1.7.36"
    found = jgo.env.EnvironmentBuilder(context=context, cache_dir=cache / "environment").from_endpoint(endpoint)
    jars = ":".join(str(Path(jar).resolve()) for jar in found.all_jars)
    wanted = [f"io.strimzi.api.kafka.model.{name.lower()}.Kafka{name}={folder}/Kafka{name}.yaml" for name in ("Topic", "User")]
    command = [fetch(progress=print).java, "-cp", jars, "io.strimzi.crdgenerator.CrdGenerator", "--yaml", "--api-versions", "v1", *wanted]
    subprocess.run(command, check=True, capture_output=True)


def variants() -> dict[str, list[dict[str, Any]]]:
    """The chart's manifests in each variant, each for a namespace of its own."""
    found = {}
    for name, values in VARIANTS.items():
        groups = render().rendered(values, namespace=f"sms-{name}")
        found[name] = [
            {**each, "metadata": {"namespace": f"sms-{name}", **each["metadata"]}} for group in groups.values() for each in group
        ]
    return found


def text(documents: list[dict[str, Any]]) -> str:
    """As kubectl reads them."""
    return yaml.safe_dump_all(documents)


def pods(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pods that a controller would make of them, and those of the chart's own test."""
    made = []
    for each in documents:
        if each["kind"] == "StatefulSet":
            template = json.loads(json.dumps(each["spec"]["template"]))
            claims = [claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", [])]
            template["spec"]["volumes"] += [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
            made.append({"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": "poller-0"}})
    return [{**pod, "metadata": {**pod["metadata"], "namespace": documents[0]["metadata"]["namespace"]}} for pod in made]


def installed(server: Server, name: str, documents: list[dict[str, Any]]) -> list[str]:
    """Tried, applied, applied again without a change, and changed as an upgrade would; what is wrong."""
    namespace, whole = f"sms-{name}", text(documents)
    server.namespace(namespace)
    steps = {"tried": server.apply("--dry-run=server", "-f", "-", given=whole), "applied": server.apply("-f", "-", given=whole)}
    before = server.versions(namespace)
    steps["applied again"] = server.apply("-f", "-", given=whole)
    moved = {key for key, version in server.versions(namespace).items() if before.get(key) != version}
    steps["applied again without a change"] = f"it changed {sorted(moved)}" if moved else None
    steps["its pods"] = server.apply("--dry-run=server", "-f", "-", given=text(pods(documents)))
    upgraded = render().rendered({**VARIANTS[name], "replicaCount": 3, "podAnnotations": {"note": "another"}}, namespace=namespace)
    newer = [{**each, "metadata": {"namespace": namespace, **each["metadata"]}} for group in upgraded.values() for each in group]
    steps["upgraded"] = server.apply("-f", "-", given=text([each for each in newer if each["kind"] != "Pod"]))
    return [f"{name}, {step}: {wrong}" for step, wrong in steps.items() if wrong]


def documented(server: Server) -> list[str]:
    """What docs/kubernetes.md and the help say to type; what is wrong."""
    server.namespace("sms")
    steps = {
        "apply -k deploy/kubernetes": server.apply("-k", "deploy/kubernetes"),
        "apply -f deploy/strimzi": server.apply("-f", "deploy/strimzi"),
        "apply -f deploy/examples/secret.yaml": server.apply("-n", "sms", "-f", "deploy/examples/secret.yaml"),
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "poller.yaml").write_text(EXAMPLE)
        plan = subprocess.run(
            [sys.executable, "-m", "poller", "topics", "plan", "--strimzi", "--config", f"{folder}/poller.yaml"],
            capture_output=True,
            text=True,
            check=False,
        )
    steps["topics plan --strimzi"] = server.apply("-n", "sms", "-f", "-", given=plan.stdout) if plan.returncode == 0 else plan.stderr
    return [f"{step}: {wrong}" for step, wrong in steps.items() if wrong]


def broken(documents: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What only a server refuses, and a misspelt field of each operator's kind."""

    def changed(kind: str, path: str, value: object) -> list[dict[str, Any]]:
        one = json.loads(json.dumps(next(each for each in documents if each["kind"] == kind)))
        *way, last = path.split("/")
        at = one
        for step in way:
            at = at[int(step)] if step.isdecimal() else at.setdefault(step, {})
        at[last] = value
        return [one]

    return {
        "a selector of other labels": changed("StatefulSet", "spec/selector/matchLabels", {"app": "another"}),
        "a port that is none": changed("Service", "spec/ports/0/port", 99999),
        "a budget with two bounds": changed("PodDisruptionBudget", "spec/minAvailable", 1),
        "a misspelt field": changed("StatefulSet", "spec/template/spec/terminationGracePeriod", 30),
        "a misspelt field of a topic": changed("KafkaTopic", "spec/partition", 16),
        "a monitor with a bad interval": changed("PodMonitor", "spec/podMetricsEndpoints/0/interval", "often"),
        "a pod that may become root": [
            {**pod, "spec": {**pod["spec"], "securityContext": {"runAsUser": 0}}}
            for pod in pods([each for each in documents if each["kind"] == "StatefulSet"])
        ],
    }


def main() -> int:
    """Apply everything; print what the server said."""
    need()
    with tempfile.TemporaryDirectory(prefix="poller-apiserver-") as name, serving(Path(name)) as server:
        (folder := Path(name) / "kinds").mkdir()
        kinds(folder)
        said = {"the kinds": server.apply("-f", str(folder))}
        server.kubectl("wait", "--for=condition=established", "crd", "--all", "--timeout=60s")
        version = json.loads(server.kubectl("get", "--raw", "/version").stdout)["gitVersion"]
        server.namespace("kafka")
        priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1000}
        said["a priority"] = server.apply("-f", "-", given=json.dumps(priority))
        wrong = [f"{what}: {why}" for what, why in said.items() if why]
        charts = variants()
        for variant, documents in charts.items():
            found = installed(server, variant, documents)
            wrong += found
            print(
                f"{version}: {variant}, {len(documents)} objects: {'; '.join(found) or 'tried, applied, applied again, its pods, upgraded'}",
                flush=True,
            )
        wrong += documented(server)
        refused = {what: server.apply("--dry-run=server", "-f", "-", given=text(bad)) for what, bad in broken(charts["everything"]).items()}
        wrong += [f"{what} is taken" for what, said in refused.items() if not said]
        print(f"refused as they must be: {', '.join(what for what, said in refused.items() if said)}")
    print("\n".join(wrong) or "the server takes all of it")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
