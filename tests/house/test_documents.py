"""What follows from the code is written as the code has it, and what was released stays readable."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import jsoncompat
import msgspec
import pytest

ROOT = Path(__file__).parent.parent.parent
RELEASED = sorted((ROOT / "schemas" / "history").glob("*/*.json"))


def generator() -> Any:
    """``docs/generate.py`` as a module."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FILES = generator().FILES


@pytest.mark.parametrize("name", FILES)
def test_generated_files_are_todays(name: str) -> None:
    """``make docs`` would change nothing."""
    assert (ROOT / name).read_text() == FILES[name]()


def test_every_type_is_frozen() -> None:
    """What is published has its form in the history from its first release on."""
    assert {path.name for path in RELEASED} == {path.name for path in (ROOT / "schemas").glob("*.json")}


def schema(path: Path) -> dict[str, Any]:
    """A schema without its identity, which the checker takes for a reference."""
    return {name: value for name, value in json.loads(path.read_text()).items() if name != "$id"}


def readable(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether whatever the new schema allows can be read by one who knows the old one."""
    return jsoncompat.check_compat(json.dumps(old), json.dumps(new), "serializer")


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_consumer_of_any_release_reads_what_is_published_today(path: Path) -> None:
    """FORWARD_TRANSITIVE under an open content model: nothing that was promised is taken back, and no type changes."""
    assert readable(schema(path), schema(ROOT / "schemas" / path.name))


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["required"].remove("revision"),
        lambda value: value["properties"]["revision"].update(type="string"),
        lambda value: value["properties"]["to"]["items"].update(type="integer"),
        lambda value: value["properties"].update(status={"type": ["string", "null"]}),
    ],
    ids=["a field that may be missing", "another type", "another type within", "null"],
)
def test_a_breaking_change_is_refused(change: Any) -> None:
    """The check can fail."""
    path = next(path for path in RELEASED if "created" in path.name)
    broken = schema(path)
    change(broken)
    assert not readable(schema(path), broken)


def test_every_field_is_described() -> None:
    """No property and no header without its meaning."""
    for path in (ROOT / "schemas").glob("*.json"):
        for name, field in schema(path).get("properties", {}).items():
            assert len(field.get("description", "")) > 10, f"{path.name}: {name}"


def test_python_types_are_generated_and_read_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that nobody here wrote makes a class of each schema, and the class reads the golden example back unchanged."""
    from datamodel_code_generator import DataModelType, InputFileType, generate

    for path in sorted((ROOT / "schemas").glob("*.json")):
        example = json.loads((ROOT / "schemas" / "examples" / path.name).read_text())["value"]
        if "dead-letter" in path.name:
            continue  # any bytes
        module = tmp_path / f"{path.stem.replace('.', '_').replace('-', '_')}.py"
        generate(
            path,
            input_file_type=InputFileType.JsonSchema,
            output=module,
            output_model_type=DataModelType.MsgspecStruct,
            class_name="Event",
            formatters=[],
        )
        monkeypatch.syspath_prepend(tmp_path)
        event = msgspec.convert(example | {"a_field_of_tomorrow": 1}, importlib.import_module(module.stem).Event, strict=False)
        assert msgspec.to_builtins(event)["message_id"] == example["message_id"]
        assert event.revision == example["revision"]
