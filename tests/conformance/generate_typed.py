"""Writes ``controllerkit/objects/typed.py`` and its stub from the API's own OpenAPI, as ``extract_schemas`` keeps it.

    python -m tests.conformance.generate_typed

The stub holds a typed dictionary for every object that the kinds of ``controllerkit.objects.kinds`` are made of; what
runs holds only their names.
"""

from __future__ import annotations

import json
import keyword
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from controllerkit.objects import kinds

FOLDER: Final = Path(__file__).resolve().parents[2] / "controllerkit"
SCHEMAS: Final = FOLDER / "apiserver" / "data" / "schemas.json"
MODULE: Final = FOLDER / "objects" / "typed.py"
STUB: Final = MODULE.with_suffix(".pyi")

LINE_MAX: Final = 116
SCALARS: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
WITHOUT_STRUCTURE: Final = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "str | int | float",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int | str",
}
CORE: Final = "io.k8s.api.core."
MODULE_TEXT: Final = '''\
"""Built-in kinds as typed dictionaries: completion in editors and checks by mypy, at no cost when it runs.

    from controllerkit.objects import typed

    def service(name: str) -> typed.Service:
        ports: list[typed.ServicePort] = [{{"name": "http", "port": 80, "targetPort": "http"}}]
        return {{"apiVersion": "v1", "kind": "Service", "metadata": {{"name": name}}, "spec": {{"ports": ports}}}}

Every name here is ``dict`` when it runs; what mypy sees is in ``typed.pyi``. No field is required but apiVersion and
kind, since what is applied is a part of an object. Made by ``python -m tests.conformance.generate_typed``.
"""

from typing import Final

_NAMES: Final = frozenset(
    """
{names}
""".split()
)


def __getattr__(name: str) -> type[dict[str, object]]:
    if name in _NAMES:
        return dict
    raise AttributeError(f"{{__name__}} has no {{name!r}}: it holds what controllerkit.objects.kinds are made of")
'''
STUB_HEAD: Final = """\
# Made by `python -m tests.conformance.generate_typed`.
from typing import Any, Literal, Required, TypedDict
"""


class Definitions:
    """The OpenAPI definitions, and the names they have as typed dictionaries."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.all: Mapping[str, Any] = data["definitions"]
        builtin = {f"{kind.api_version}/{kind.kind}" for kind in kinds.BUILTIN.values()}
        self.kinds = {name: kind for kind, name in data["kinds"].items() if kind in builtin}
        reached = self._reached(self.kinds)
        shorts = [name.rsplit(".", 1)[1] for name in reached]
        self._ambiguous = {short for short in shorts if shorts.count(short) > 1}
        self.reached = sorted(reached, key=self.name)

    def _reached(self, roots: Mapping[str, str]) -> set[str]:
        found: set[str] = set()
        ahead = list(roots)
        while ahead:
            name = ahead.pop()
            if name not in found and self.all[name].get("properties"):
                found.add(name)
                ahead += _references(self.all[name])
        return found

    def name(self, definition: str) -> str:
        """The last part; of the core group's, where another group has the same, with ``Core`` before it."""
        short = definition.rsplit(".", 1)[1]
        return f"Core{short}" if short in self._ambiguous and definition.startswith(CORE) else short

    def type_of(self, schema: Mapping[str, Any]) -> str:
        """As an annotation."""
        if reference := schema.get("$ref"):
            target = self.all[reference]
            if target.get("properties"):
                return self.name(reference)
            return WITHOUT_STRUCTURE.get(reference) or self.type_of(target)
        if "enum" in schema:
            return f"Literal[{', '.join(json.dumps(value) for value in schema['enum'])}]"
        match schema.get("type"):
            case "array":
                return f"list[{self.type_of(schema['items'])}]"
            case "object":
                values = schema.get("additionalProperties")
                return f"dict[str, {self.type_of(values) if values else 'Any'}]"
            case kind:
                return SCALARS.get(kind or "", "Any")

    def fields(self, definition: str) -> Iterator[tuple[str, str]]:
        """Names and annotations, apiVersion and kind first."""
        api_version, _, kind = self.kinds.get(definition, "").rpartition("/")
        properties = dict(self.all[definition]["properties"])
        if kind:
            yield "apiVersion", f'Required[Literal["{api_version}"]]'
            yield "kind", f'Required[Literal["{kind}"]]'
            properties.pop("apiVersion")
            properties.pop("kind")
        for name, schema in properties.items():
            yield name, self.type_of(schema)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for name, child in schema.items():
            if name == "$ref" and isinstance(child, str):
                yield child
            else:
                yield from _references(child)


def _class(name: str, fields: list[tuple[str, str]]) -> str:
    if all(field.isidentifier() and not keyword.iskeyword(field) for field, _ in fields):
        return f"class {name}(TypedDict, total=False):\n" + "".join(f"    {field}: {kind}\n" for field, kind in fields)
    entries = "".join(f'    "{field}": {kind},\n' for field, kind in fields)
    return f'{name} = TypedDict("{name}", {{\n{entries}}}, total=False)\n'


def generated() -> dict[Path, str]:
    """The files' text."""
    definitions = Definitions(json.loads(SCHEMAS.read_text()))
    names = [definitions.name(each) for each in definitions.reached]
    classes = [_class(definitions.name(each), list(definitions.fields(each))) for each in definitions.reached]
    lines = [""]
    for name in sorted(names):
        if len(lines[-1]) + len(name) > LINE_MAX:
            lines.append("")
        lines[-1] += f" {name}" if lines[-1] else name
    texts = {
        MODULE: MODULE_TEXT.format(names="\n".join(lines)),
        STUB: STUB_HEAD + "\n" + "\n".join(classes),
    }
    return {path: _formatted(path, text) for path, text in texts.items()}


def _formatted(path: Path, text: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(path), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text)
