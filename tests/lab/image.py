"""``make image``: deploy/Dockerfile built for real by buildah, and the image run as the chart runs it.

The real base comes from a registry. Where that cannot be reached, Debian's own packages make one that stands for it: another Python (3.13),
the same kind of system. ``BASE=NAME make image`` takes what buildah can pull. The image's own user, entry point, folder and environment are
used, as a runtime would; its root is read-only, its process may gain no right, and only the cache's folder can be written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poller import __version__
from poller.demo.kafka.broker import Cluster, die_with_parent
from poller.demo.kafka.jars import fetch
from tests.lab.observe.outages import free_port

ROOT = Path(__file__).parent.parent.parent
STORE = ROOT / "build" / "image"
STAND_IN, IMAGE = "localhost/poller-base", f"localhost/poller:{__version__}"
RELEASE = "trixie"
"""The Debian release of the base that stands in: the oldest whose Python the lock is made for (3.12 and newer)."""

WAIT_S = 60.0
"""How long the daemon may take to be ready and to publish; the machine may be busy."""

STOP_S = 20.0
"""A clean stop takes no longer: the contract says so, and the pods' grace period is reckoned by it."""

ENTER = """\
set -e
mount --make-rprivate /
mount --bind "$1" "$1"; mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"
mount --bind "$2" "$1/etc/poller"; mount -o remount,bind,ro "$1/etc/poller"
mount -t tmpfs -o "uid=${3%:*},gid=${3#*:}" cache "$1/var/lib/poller"
mount -o remount,bind,ro "$1"
root=$1 user=$3; shift 3
exec setpriv --no-new-privs --bounding-set=-all,+setuid,+setgid,+sys_chroot chroot --userspec="$user" "$root" "$@"
"""
"""As a runtime with a read-only root: the image at $1, the configuration of $2, the user $3, then the command."""


def need() -> None:
    """Raises SystemExit, with what to install, where the trial cannot be held."""
    missing = [name for name in ("buildah", "debootstrap", "unshare", "setpriv") if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"image needs {', '.join(missing)}: apt-get install buildah debootstrap util-linux")
    if os.geteuid() != 0:
        raise SystemExit("image needs root: a base is made, and file systems are mounted, in a namespace of their own")


def buildah(*arguments: str) -> str:
    """What it prints; its images lie in ``build/image`` and nowhere else."""
    places = ("--root", str(STORE / "storage"), "--runroot", str(STORE / "run"), "--storage-driver", "vfs")
    done = subprocess.run(["buildah", *places, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"buildah {arguments[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()


def base() -> str:
    """The base that was named, or one of Debian's packages, made once."""
    if os.environ.get("BASE"):
        return os.environ["BASE"]
    if STAND_IN in buildah("images", "--format", "{{.Name}}").splitlines():
        return STAND_IN
    with tempfile.TemporaryDirectory(prefix="poller-base-") as folder:
        packages = "python3,python3-venv,ca-certificates"
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={packages}", RELEASE, folder], capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise SystemExit(f"debootstrap failed:\n{made.stdout[-2000:]}")
        Path(folder, "usr/bin/python").symlink_to("python3")
        container = buildah("from", "scratch")
        buildah("add", "-q", container, folder, "/")
        buildah("commit", "-q", "--rm", container, STAND_IN)
    return STAND_IN


def build(on: str) -> None:
    """The image, as the Dockerfile says; packages are fetched with the certificates that this host trusts."""
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    given = ("--build-arg", f"BASE={on}", "--build-arg", f"VERSION={__version__}", "--build-arg", f"REVISION={revision}")
    certificates = ("-v", "/etc/ssl/certs:/etc/ssl/certs:ro")
    buildah("build", "-q", "--isolation", "chroot", *certificates, *given, "-f", str(ROOT / "deploy/Dockerfile"), "-t", IMAGE, str(ROOT))


@dataclass
class Container:
    """The image's files, how its processes are started, and the folder that they see as /etc/poller."""

    root: Path
    settings: dict[str, Any]
    given: Path

    def command(self, *arguments: str, entry: list[str] | None = None) -> list[str]:
        """A command that becomes the first process of a namespace of its own, as in a container: signals that it does not handle are lost."""
        around = ["env", "-i", "-C", self.settings["WorkingDir"], *self.settings["Env"]]
        inside = [*around, *(entry or self.settings["Entrypoint"]), *arguments]
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [*alone, "sh", "-c", ENTER, "enter", str(self.root), str(self.given), self.settings["User"], *inside]

    def said(self, *arguments: str, entry: list[str] | None = None) -> str:
        """What a command prints. Raises SystemExit where it fails."""
        done = subprocess.run(self.command(*arguments, entry=entry), capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise SystemExit(
                f"{' '.join(arguments)} in the image ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return done.stdout

    @contextmanager
    def running(self, *arguments: str, entry: list[str] | None = None, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A command beside us; killed at the end where it still runs."""
        with log.open("wb") as into:
            process = subprocess.Popen(
                self.command(*arguments, entry=entry), stdin=subprocess.DEVNULL, stdout=into, stderr=into, preexec_fn=die_with_parent
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def container(given: Path) -> Iterator[Container]:
    """A container of the image, mounted."""
    name = buildah("from", IMAGE)
    try:
        root = Path(buildah("mount", name))
        for place in ("proc", "dev", "etc/poller"):
            (root / place).mkdir(exist_ok=True)
        yield Container(root, json.loads(buildah("inspect", name))["OCIv1"]["config"], given)
    finally:
        buildah("rm", name)


LOOK = """\
import importlib.metadata, json, os
def may(path):
    try:
        open(os.path.join(path, "tried"), "w").close()
    except OSError:
        return False
    return True
packages = {each.name.lower().replace("_", "-"): each.version for each in importlib.metadata.distributions()}
places = ("/", "/tmp", "/opt/poller", "/etc/poller", "/var/lib/poller")
print(json.dumps({"user": os.getuid(), "number": os.getpid(), "writable": [place for place in places if may(place)], "packages": packages}))
"""


def locked() -> dict[str, str]:
    """What requirements.lock names, whatever the markers say."""
    found = re.findall(r"^([\w.-]+)==([^ ;\\]+)", (ROOT / "deploy/requirements.lock").read_text(), re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


def inside(image: Container) -> list[str]:
    """Who it is, what it may write, and that it holds the lock and nothing else; what is not as it should be."""
    seen = json.loads(image.said("-c", LOOK, entry=["/opt/poller/bin/python"]))
    beside = seen["packages"].items() - locked().items() - {("poller", __version__)}
    wrong = [f"{name} {version} is not in the lock" for name, version in beside if name not in ("pip", "setuptools")]
    wrong += [] if seen["number"] == 1 else [f"it is process {seen['number']}"]
    wrong += [] if seen["user"] == 65532 else [f"it runs as user {seen['user']}"]
    wrong += [] if seen["writable"] == ["/var/lib/poller"] else [f"it can write to {seen['writable']}"]
    wrong += [] if image.said("version").strip() == __version__ else ["poller version says something else"]
    print(f"{len(seen['packages'])} packages; user {seen['user']}; it can write to {', '.join(seen['writable'])}")
    return wrong


def configured(folder: Path, bootstrap: str, providers: int, admin: int) -> None:
    """The composition's own configuration, with the addresses of this trial."""
    shutil.copytree(ROOT / "deploy/compose", folder, dirs_exist_ok=True)
    text = (folder / "poller.yaml").read_text()
    for there, here in (("kafka:9092", bootstrap), ("127.0.0.1:9000", f"127.0.0.1:{providers}"), ("0.0.0.0:8080", f"127.0.0.1:{admin}")):
        assert there in text
        text = text.replace(there, here)
    (folder / "poller.yaml").write_text(text)


def until(holds: str, address: str) -> bool:
    """Whether what an address answers comes to match a pattern in time."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if re.search(holds, answer.read().decode()):
                    return True
        except OSError:
            pass
        time.sleep(0.5)
    return False


def runs(image: Container, folder: Path) -> list[str]:
    """The daemon and the simulated providers, both of the image, and a real Kafka; what is not as it should be."""
    providers, admin = free_port(), free_port()
    simulator = ["/opt/poller/bin/python", "-m", "poller.demo.simulator", f"127.0.0.1:{providers}"]
    config = ("--config", "/etc/poller/poller.yaml")
    with Cluster(fetch(progress=print), folder / "kafka") as cluster:
        configured(image.given, cluster.bootstrap, providers, admin)
        print(image.said("check", *config).strip())
        with (
            image.running(entry=simulator, log=folder / "providers.log"),
            image.running("run", *config, log=folder / "daemon.log") as daemon,
        ):
            wrong = [] if until("", f"http://127.0.0.1:{admin}/readyz") else ["it was never ready"]
            published = r"poller_events_published_total\{[^}]*created[^}]*\} [1-9]"
            wrong += [] if until(published, f"http://127.0.0.1:{admin}/metrics") else ["it published nothing"]
            print(image.said("status", *config).strip())
            began = time.monotonic()
            [first] = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
            os.kill(int(first), signal.SIGTERM)
            ended = daemon.wait(STOP_S)
            print(f"stopped with {ended} after {time.monotonic() - began:.1f} s")
            wrong += [] if ended == 0 else [f"it ended with {ended}: {(folder / 'daemon.log').read_text()[-1000:]}"]
        print(image.said("audit", *config).strip())
    return wrong


def main() -> int:
    """Build it, look into it, run it."""
    need()
    STORE.mkdir(parents=True, exist_ok=True)
    on = base()
    build(on)
    print(f"{IMAGE} on {on}, {buildah('images', '--format', '{{.Size}}', IMAGE)}")
    with tempfile.TemporaryDirectory(prefix="poller-image-") as name:
        folder = Path(name)
        (folder / "config").mkdir()
        folder.chmod(0o755)
        with container(folder / "config") as image:
            wrong = inside(image) + runs(image, folder)
    print("\n".join(wrong) or "the image is built and runs: not as root, with a read-only root")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
