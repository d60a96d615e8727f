"""The rules of a schema (``x-kubernetes-validations``), asked here before the server is.

What is evaluated here means the same there; whatever may not is left to the server, and said so. That is the case
for a rule

- that calls one of Kubernetes' own libraries (lists, regex, url, quantity, ip, cidr, semver, format, authorizer) or
  of CEL's extensions (strings, math, sets, two-variable comprehensions, ``cel.bind``), converts to text, or uses
  optional syntax (``.?``, ``[?…]``): the evaluator knows none of these, or writes numbers otherwise;
- that asks for the size of text that is not ASCII: bytes are counted here, characters there;
- that joins lists in which order is no matter (``x-kubernetes-list-type`` set or map), or whose answer depends on
  their order: the server compares them without it;
- that cannot be parsed or applied here for any other reason.

Needs the extra ``cel``. Source of the semantics: apiextensions ``pkg/apiserver/schema/cel``, apiserver ``pkg/cel``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from controllerkit.errors import BadRequest, ConfigError, Invalid
from controllerkit.schema.markers import cel_name
from controllerkit.schema.structural import structural_schema
from controllerkit.schema.types import parse_duration

if TYPE_CHECKING:
    import cel

__all__ = ["Judgement", "LeftToServer", "Violation", "judge", "schema_of", "shown", "unordered"]

Schema = Mapping[str, Any]

_OPERATORS: Final = frozenset(
    {"_&&_", "_||_", "!_", "-_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"}
    | {"_+_", "_-_", "_*_", "_/_", "_%_", "_[_]", "@in", "_in_", "in", "@not_strictly_false", "!_strictly_false"}
)
_FUNCTIONS: Final = frozenset(
    {"size", "has", "type", "dyn", "int", "duration", "timestamp", "matches", "startsWith", "endsWith", "contains"}
    | {"all", "exists", "exists_one", "map", "filter"}
    | {"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"}
    | {"getHours", "getMinutes", "getSeconds", "getMilliseconds"}
)
_SAME: Final = _OPERATORS | _FUNCTIONS
"""What the evaluator does as Kubernetes does; held against the real server by a test."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a value breaks: the field's path, the rule and what the server would say."""

    path: str
    rule: str
    message: str
    reason: str = "FieldValueInvalid"

    def __str__(self) -> str:
        named = "" if self.rule in self.message else f" ({self.rule})"
        return f"{self.path or '<root>'}: {self.message}{named}"


@dataclass(frozen=True, slots=True)
class LeftToServer:
    """A rule that was not evaluated here, and why."""

    path: str
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of all rules that apply to a value."""

    violations: tuple[Violation, ...]
    left_to_server: tuple[LeftToServer, ...]

    def raise_if_violated(self, what: str) -> None:
        """Raises:
        Invalid: with a cause for every violation, as the server's refusal has.
        """
        if self.violations:
            causes = [
                {"reason": one.reason, "message": one.message, "field": one.path or "<nil>"} for one in self.violations
            ]
            told = ", ".join(map(str, self.violations))
            raise Invalid(f"{what} is invalid, and was not sent: {told}", details={"causes": causes})


def judge(schema: Schema, value: Any, old: Any = None) -> Judgement:
    """Asks every rule of ``schema`` about ``value``, which is JSON with its defaults filled in.

    ``old`` is the value before, for an update: rules that name ``oldSelf`` are asked only then, where the two can be
    told to belong together, and other rules only about what has changed.

    Raises:
        ConfigError: the extra ``cel`` is not installed.
    """
    found = list(_judge(schema, value, old, "", root=True))
    return Judgement(
        tuple(one for one in found if isinstance(one, Violation)),
        tuple(one for one in found if isinstance(one, LeftToServer)),
    )


@lru_cache(maxsize=256)
def schema_of(model: type[BaseModel]) -> Schema:
    """`structural_schema`, compiled once; not to be changed."""
    return structural_schema(model)


# -- the walk --------------------------------------------------------------------------------------------------------

Finding = Violation | LeftToServer


def _judge(schema: Schema, value: Any, old: Any, path: str, *, root: bool = False) -> Iterator[Finding]:
    if value is None and not root:
        return
    for rule in schema.get("x-kubernetes-validations", ()):
        yield from _ask(schema, rule, value, old, path, root=root)
    if isinstance(value, Mapping):
        before = old if isinstance(old, Mapping) else {}
        for name, child in value.items():
            if (inner := schema.get("properties", {}).get(name)) is not None:
                yield from _judge(inner, child, before.get(name), f"{path}.{name}" if path else name)
            elif (inner := schema.get("additionalProperties")) is not None:
                yield from _judge(inner, child, before.get(name), f"{path}[{name}]")
    elif isinstance(value, list) and "items" in schema:
        matched = _by_keys(schema, old)
        for index, child in enumerate(value):
            yield from _judge(schema["items"], child, matched.get(_identity(schema, child)), f"{path}[{index}]")


def _identity(schema: Schema, item: Any) -> tuple[Any, ...] | None:
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(item, Mapping):
        return None
    return tuple(item.get(key) for key in schema["x-kubernetes-list-map-keys"])


def _by_keys(schema: Schema, items: Any) -> dict[tuple[Any, ...] | None, Any]:
    """Items of a list that can be found again; those of other lists have no old self."""
    if not isinstance(items, list):
        return {}
    return {identity: item for item in items if (identity := _identity(schema, item)) is not None}


def _ask(schema: Schema, rule: Mapping[str, Any], value: Any, old: Any, path: str, *, root: bool) -> Iterator[Finding]:
    text = rule["rule"]
    try:
        program, used = _compiled(text)
    except ValueError as error:
        yield LeftToServer(path, text, f"it cannot be parsed here: {str(error).splitlines()[0]}")
        return
    if rule.get("optionalOldSelf"):
        yield LeftToServer(path, text, "its oldSelf is optional")
        return
    if "oldSelf" in used:
        if old is None:
            return
    elif old is not None and old == value:
        return  # what an update leaves as it is, it is not refused for
    if unknown := sorted(used - _SAME - {"oldSelf"}):
        yield LeftToServer(path, text, f"{', '.join(unknown)} may mean something else here")
        return
    if "size" in used and not _ascii([text, value, old]):
        yield LeftToServer(path, text, "size counts bytes here, and there is text that is not ASCII")
        return
    answers = set()
    for ordered in (False, True) if unordered(schema) else (False,):
        answer = _answer(program, schema, value, old, root=root, ordered=ordered)
        answers.add(answer)
    joins = "_+_" in used and "+" in text  # filter() and map() are made of it too, and join no list that is given
    if len(answers) > 1 or (unordered(schema) and joins):
        yield LeftToServer(path, text, "its answer depends on the order of a list that has none")
    elif (problem := answers.pop()) is not None:
        yield _finding(rule, problem, path)


def _finding(rule: Mapping[str, Any], problem: str, path: str) -> Finding:
    text = rule["rule"]
    if problem.startswith(_NOT_HERE):
        return LeftToServer(path, text, problem.removeprefix(_NOT_HERE))
    message = rule.get("message") or f"failed rule: {text}"
    if problem:
        message = f"{problem} evaluating rule: {rule.get('message') or text}"
    where = f"{path}{rule.get('fieldPath', '')}" if path else rule.get("fieldPath", "").removeprefix(".")
    return Violation(where, text, message, rule.get("reason", "FieldValueInvalid"))


_NOT_HERE: Final = "not here: "
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _answer(program: cel.Program, schema: Schema, value: Any, old: Any, *, root: bool, ordered: bool) -> str | None:
    """None where the rule holds, "" where it does not, else why there is no answer."""
    try:
        given = {"self": shown(schema, value, root=root, ordered=ordered)}
        if old is not None:
            given["oldSelf"] = shown(schema, old, root=root, ordered=ordered)
        answer = program.execute(given)
    except KeyError as error:
        return f"no such key: {str(error.args[0]).strip(chr(39))}"
    except IndexError as error:
        return str(error)
    except ZeroDivisionError:
        return "division by zero"
    except Exception as error:  # whatever the evaluator raises, the server has the last word
        return f"{_NOT_HERE}{type(error).__name__}: {str(error).split('. ', 1)[0]}"
    if not isinstance(answer, bool):
        return f"{_NOT_HERE}it answers {type(answer).__name__}, not bool"
    return None if answer else ""


@lru_cache(maxsize=1024)
def _compiled(text: str) -> tuple[cel.Program, frozenset[str]]:
    """The program, with the functions it calls, and "oldSelf" where it names that."""
    try:
        import cel
    except ImportError as error:
        raise ConfigError(
            "rules in CEL are evaluated by common-expression-language: pip install 'controllerkit[cel]', or leave "
            "them to the server"
        ) from error
    program = cel.compile(text)
    references = program.references()
    return program, frozenset(references["functions"]) | ({"oldSelf"} & set(references["variables"]))


# -- what a rule sees ------------------------------------------------------------------------------------------------


def unordered(schema: Schema) -> bool:
    """Whether a value may hold a list whose order says nothing."""
    inner = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return schema.get("x-kubernetes-list-type") in ("set", "map") or any(each and unordered(each) for each in inner)


def _ascii(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii()
    if isinstance(value, Mapping):
        return all(_ascii(name) and _ascii(child) for name, child in value.items())
    return all(map(_ascii, value)) if isinstance(value, list) else True


def shown(schema: Schema, value: Any, *, root: bool = False, ordered: bool = False) -> Any:
    """The value in the types that its schema gives it in CEL; with ``ordered``, sets and maps in a fixed order."""
    if isinstance(value, Mapping):
        return _shown_object(schema, value, root=root, ordered=ordered)
    if isinstance(value, list):
        if schema.get("type") == "string":  # as a server takes it where there is a format, and can ask no rule then
            raise ValueError(f"a list is no {schema.get('format')}")
        items = [shown(schema.get("items", {}), child, ordered=ordered) for child in value]
        free = ordered and schema.get("x-kubernetes-list-type") in ("set", "map")
        return sorted(items, key=repr) if free else items
    if schema.get("type") == "number" and isinstance(value, int):
        return float(value)
    if schema.get("type") == "integer" and isinstance(value, float):
        raise ValueError(f"{value} is whole, and written as one that may not be")
    return _shown_text(schema.get("format", ""), value) if isinstance(value, str) else value


def _shown_object(schema: Schema, value: Mapping[str, Any], *, root: bool, ordered: bool) -> dict[str, Any]:
    properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
    fields: dict[str, Any] = {}
    for name, child in value.items():
        inner = properties.get(name, extra)
        if inner is None or (child is None and name in properties):
            continue  # a field that is null is none: has() denies it
        if "type" not in inner and not inner.get("x-kubernetes-int-or-string"):
            continue  # of anything, the server shows nothing
        fields[cel_name(name) if name in properties else name] = shown(inner, child, ordered=ordered)
    if root or schema.get("x-kubernetes-embedded-resource"):
        metadata = value.get("metadata") or {}
        fields |= {name: value[name] for name in ("apiVersion", "kind") if name in value}
        fields["metadata"] = {name: metadata[name] for name in ("name", "generateName") if name in metadata}
    return fields


def _shown_text(name: str, value: str) -> Any:
    """Raises ValueError: it is not of the format, or of it in a way that the server's rules cannot read either."""
    match name:
        case "date-time":
            if _DATE_TIME.fullmatch(value) is None:
                raise ValueError(f"{value!r} is no date-time that rules can read")
            return datetime.fromisoformat(value)
        case "date":
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        case "duration":
            try:
                return parse_duration(value)
            except BadRequest as error:
                raise ValueError(error.message) from error
        case "byte":
            return base64.b64decode(value, validate=True)
    return value
