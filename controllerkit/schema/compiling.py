"""Whether a rule in CEL can be compiled for the schema it stands on, as far as that can be told here.

Told are syntax, variables and fields that are not there. Functions are left to the server, which knows more of them
with every version, and so is syntax that the evaluator here does not know. Without the extra ``cel`` fields alone are
told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from controllerkit.schema.markers import cel_name

__all__ = ["rule_problem"]

_TEXT: Final = re.compile(r"""(?:[rR]?[bB]?)("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_PATH: Final = re.compile(r"(?<![\w.])(self|oldSelf)((?:\.[A-Za-z_]\w*)+)(\s*\()?")
_OWN_VARIABLES: Final = re.compile(
    r"\.(?:all|exists|exists_one|existsOne|map|filter|bind|optMap|optFlatMap|transformList|transformMap|"
    r"transformMapEntry)\(\s*(\w+)\s*,(?:\s*(\w+)\s*,)?"
)
_KNOWN: Final = frozenset(
    {"self", "oldSelf", "bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"}
    | {"cel", "math", "optional", "sets", "strings", "format", "google", "net", "kubernetes"}
)
_ROOT: Final[Mapping[str, Any]] = {
    "apiVersion": {},
    "kind": {},
    "metadata": {"properties": {"name": {}, "generateName": {}}},
}


def rule_problem(rule: str, schema: Mapping[str, Any], *, root: bool = False) -> str:
    """Why the server would not take ``rule`` on ``schema``; "" where nothing is known against it."""
    plain = _TEXT.sub("''", rule)
    return _syntax(rule, plain) or next(_fields(plain, schema, root=root), "")


@lru_cache(maxsize=1024)
def _syntax(rule: str, plain: str) -> str:
    try:
        import cel
    except ImportError:
        return ""
    try:
        variables = cel.compile(rule).references()["variables"]
    except ValueError as error:
        said = str(error).partition("ERROR: ")[2].splitlines()
        return f"it does not compile: {said[0]}" if said and "Syntax error" in said[0] else ""
    own = {name for found in _OWN_VARIABLES.findall(plain) for name in found}
    unknown = sorted(name for name in set(variables) - own - _KNOWN if re.search(rf"(?<!\.)\b{name}\b", plain))
    return f"{', '.join(unknown)} is no variable; there are self and oldSelf" if unknown else ""


def _fields(plain: str, schema: Mapping[str, Any], *, root: bool) -> Iterator[str]:
    for variable, path, call in _PATH.findall(plain):
        names = path.strip(".").split(".")
        current = {**schema, "properties": {**schema.get("properties", {}), **_ROOT}} if root else schema
        for name in names[:-1] if call else names:
            fields = current.get("properties")
            if not fields or current.get("x-kubernetes-preserve-unknown-fields"):
                break
            found = {cel_name(field): child for field, child in fields.items()}
            if name not in found:
                yield f"{variable}{path} is no field; {name} is none of {', '.join(found)}"
                break
            current = found[name]
