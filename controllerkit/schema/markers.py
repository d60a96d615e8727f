"""What a type annotation cannot say: rules, and how lists and maps are merged. Written into ``Annotated[…]``.

Names of fields in rules and keys are the API's (camelCase), as in the schema that comes of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

__all__ = [
    "Cel",
    "Keywords",
    "at_least_one_of",
    "at_most_one_of",
    "cel",
    "cel_name",
    "exactly_one_of",
    "list_atomic",
    "list_map",
    "list_set",
    "map_atomic",
    "map_granular",
    "nullable",
    "preserve_unknown",
    "schema_format",
    "server_default",
    "wire_schema",
]

Reason = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"]


@dataclass(frozen=True, slots=True)
class Cel:
    """One entry of ``x-kubernetes-validations``; made by `cel`."""

    rule: str
    message: str = ""
    message_expression: str = ""
    reason: str = ""
    field_path: str = ""
    optional_old_self: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As the API writes it."""
        written = {
            "rule": self.rule,
            "message": self.message,
            "messageExpression": self.message_expression,
            "reason": self.reason,
            "fieldPath": self.field_path,
            "optionalOldSelf": self.optional_old_self,
        }
        return {name: value for name, value in written.items() if value}


@dataclass(frozen=True, slots=True)
class Keywords:
    """Keywords that join the schema of the annotated type; with ``whole``, they are all of it."""

    values: Mapping[str, Any] = field(hash=False)
    whole: bool = False


def cel(
    rule: str,
    message: str = "",
    *,
    message_expression: str = "",
    reason: Reason | None = None,
    field_path: str = "",
    optional_old_self: bool = False,
) -> Cel:
    """A rule in CEL on the annotated value, or (as ``rules=`` of a class) on the whole object.

    ``self`` is the value, ``oldSelf`` the one before: a rule that names it is asked on updates alone, unless
    ``optional_old_self``. Source: kubernetes.io, CustomResourceDefinition validation rules.
    """
    return Cel(rule, message, message_expression, reason or "", field_path, optional_old_self)


def list_map(*keys: str) -> Keywords:
    """A list whose items are told apart by ``keys``: server-side apply merges by them, duplicates are refused."""
    return Keywords({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)})


def list_set() -> Keywords:
    """A list of scalars in which none may come twice; ``set[…]`` and ``frozenset[…]`` are this anyway."""
    return Keywords({"x-kubernetes-list-type": "set"})


def list_atomic() -> Keywords:
    """A list that has one owner as a whole."""
    return Keywords({"x-kubernetes-list-type": "atomic"})


def map_atomic() -> Keywords:
    """An object or map that has one owner as a whole."""
    return Keywords({"x-kubernetes-map-type": "atomic"})


def map_granular() -> Keywords:
    """An object or map whose fields each have an owner, which is what the API takes it for anyway; said aloud."""
    return Keywords({"x-kubernetes-map-type": "granular"})


def nullable() -> Keywords:
    """The server keeps an explicit null that others send. What is sent from here leaves None out all the same."""
    return Keywords({"nullable": True})


def preserve_unknown() -> Keywords:
    """Fields that the schema does not know are kept."""
    return Keywords({"x-kubernetes-preserve-unknown-fields": True})


def schema_format(name: str) -> Keywords:
    """The ``format`` of a string or number, such as ``int64``, ``hostname``, ``uri``."""
    return Keywords({"format": name})


def server_default(value: Any) -> Keywords:
    """The server fills in ``value`` where the field is absent, even one that is empty, as ``""``.

    For what `structural_schema` leaves out by itself: an empty default is usually the reader's alone.
    """
    return Keywords({"default": value})


def wire_schema(**keywords: Any) -> Keywords:
    """The whole schema of a type that the compiler does not know, by the caller's own word.

    For keywords with dashes: ``wire_schema(**{"x-kubernetes-int-or-string": True})``.
    """
    return Keywords(keywords, whole=True)


# -- rules about which fields are given ------------------------------------------------------------------------------

_RESERVED: Final = frozenset(
    {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"}
    | {"let", "loop", "package", "namespace", "return", "var", "void", "while"}
)
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


def cel_name(name: str) -> str:
    """A field's name as CEL spells it (apiserver ``cel/escaping.go``).

    >>> cel_name("namespace"), cel_name("my-field"), cel_name("size")
    ('__namespace__', 'my__dash__field', 'size')
    """
    if name in _RESERVED:
        return f"__{name}__"
    return re.sub(r"__|[.\-/]", lambda found: _ESCAPES[found[0]], name)


def exactly_one_of(*names: str) -> Cel:
    """A rule for a class: one of these fields is given, and no other of them."""
    return cel(f"{_count(names)} == 1", f"exactly one of {', '.join(names)} must be given")


def at_most_one_of(*names: str) -> Cel:
    """A rule for a class: no two of these fields are given."""
    return cel(f"{_count(names)} <= 1", f"at most one of {', '.join(names)} may be given")


def at_least_one_of(*names: str) -> Cel:
    """A rule for a class: one of these fields or more are given."""
    return cel(f"{_count(names)} >= 1", f"at least one of {', '.join(names)} must be given")


def _count(names: tuple[str, ...]) -> str:
    given = ", ".join(f"has(self.{cel_name(name)})" for name in names)
    return f"[{given}].filter(given, given).size()"
