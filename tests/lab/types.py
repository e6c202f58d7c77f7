"""``make types``: classes for TypeScript and Java made of the schemas by quicktype, compiled, and given the golden examples.

Each example comes with a field that no schema knows. What the classes write back must say the same, instants by their value;
Python's classes are made and tried in the suite.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import jgo.env
import jgo.maven
import platformdirs

SCHEMAS = Path(__file__).parent.parent.parent / "schemas"
NAMES = {"created": "Created", "updated": "Updated", "status-changed": "StatusChanged", "latest": "Latest"}
JACKSON = "com.fasterxml.jackson.core:jackson-databind:2.19.2+com.fasterxml.jackson.datatype:jackson-datatype-jsr310:2.19.2"

TYPESCRIPT = """\
import {{ readFileSync, writeFileSync }} from "node:fs";
import {{ Convert, {name} }} from "./{name}";
const event: {name} = Convert.to{name}(readFileSync(process.argv[2], "utf8"));
const newest: number = event.revision;
if (!(newest >= 1)) throw new Error("no revision");
writeFileSync(process.argv[3], Convert.{small}ToJson(event));
"""
JAVA = """\
package {package};
import java.nio.file.Files;
import java.nio.file.Path;
public class Main {{
    public static void main(String[] files) throws Exception {{
        {name} event = Converter.fromJsonString(Files.readString(Path.of(files[0])));
        if (event.getRevision() < 1) throw new Exception("no revision");
        Files.writeString(Path.of(files[1]), Converter.toJsonString(event));
    }}
}}
"""


def run(*command: object) -> None:
    """To its end; its words only where it fails."""
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def same(value: Any) -> Any:
    """A value with its instants by their value, and without what is not there."""
    if isinstance(value, dict):
        return {name: same(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [same(each) for each in value]
    if isinstance(value, str) and value[4:5] == "-" and value[10:11] == "T":
        return datetime.fromisoformat(value)
    return value


def typescript(node: Path, folder: Path, kind: str, name: str, example: Path, written: Path) -> None:
    """Classes, a program that uses them, compiled strictly, run."""
    run(node / "quicktype", "-s", "schema", SCHEMAS / f"sms.message.{kind}.v1.json", "--top-level", name, "-o", folder / f"{name}.ts")
    (folder / f"read-{kind}.ts").write_text(TYPESCRIPT.format(name=name, small=name[0].lower() + name[1:]))
    options = ("--strict", "--target", "es2022", "--module", "commonjs", "--types", "node", "--typeRoots", node.parent / "@types")
    run(node / "tsc", *options, folder / f"read-{kind}.ts")
    run("node", folder / f"read-{kind}.js", example, written)


def java(node: Path, folder: Path, kind: str, name: str, example: Path, written: Path) -> None:
    """The same with Jackson, whose jars come from the Maven repository."""
    package = f"sms.{name.lower()}"
    place = folder / "sms" / name.lower()
    place.mkdir(parents=True)
    options = ("--lang", "java", "--package", package, "--top-level", name)
    run(node / "quicktype", "-s", "schema", SCHEMAS / f"sms.message.{kind}.v1.json", *options, "-o", place / f"{name}.java")
    (place / "Main.java").write_text(JAVA.format(package=package, name=name))
    cache = Path(platformdirs.user_cache_dir("poller")) / "jackson"
    context = jgo.maven.MavenContext(repo_cache=cache / "maven", resolver=jgo.maven.PythonResolver())
    found = jgo.env.EnvironmentBuilder(context=context, cache_dir=cache / "environment").from_endpoint(JACKSON)
    jars = ":".join(str(Path(jar).resolve()) for jar in found.all_jars)
    run("javac", "-nowarn", "-cp", jars, "-d", folder / "classes", *place.glob("*.java"))
    run("java", "-cp", f"{jars}:{folder / 'classes'}", f"{package}.Main", example, written)


def main(node: Path, folder: Path) -> int:
    """Every language and every event; 0 where all say what the examples say."""
    shutil.rmtree(folder, ignore_errors=True)
    wrong = 0
    for make in (typescript, java):
        for kind, name in NAMES.items():
            place = folder / make.__name__
            place.mkdir(parents=True, exist_ok=True)
            value = json.loads((SCHEMAS / "examples" / f"sms.message.{kind}.v1.json").read_text())["value"]
            example, written = place / f"{kind}.json", place / f"{kind}.written.json"
            example.write_text(json.dumps(value | {"known_tomorrow": [1]}))
            make(node, place, kind, name, example, written)
            told = same(json.loads(written.read_text()))
            told.pop("known_tomorrow", None)
            right = told == same(value)
            wrong += not right
            print(f"{make.__name__}: {name} {'says' if right else 'DOES NOT SAY'} what the golden example says", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
