"""Rules of custom resources in CEL (``x-kubernetes-validations``): asked of objects, and checked in definitions.

A rule that this server cannot evaluate as the real one does (`expressions.NotHere`) refuses nothing; the caller is
warned of it. The costs of rules are not estimated.

Source: apiextensions ``pkg/apiserver/schema/cel``, ``pkg/apis/apiextensions/validation``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controllerkit.apiserver.expressions import (
    ORDERED,
    CompileError,
    EvaluationError,
    Expression,
    NotHere,
    available,
    compiled,
)
from controllerkit.apiserver.status import FieldError, quote
from controllerkit.schema.markers import cel_name
from controllerkit.schema.rules import shown, unordered

__all__ = ["NOT_INSTALLED", "Verdict", "ask_rules", "has_rules", "validate_rules"]

Schema = Mapping[str, Any]

RULES: Final = "x-kubernetes-validations"
NOT_INSTALLED: Final = "rules in CEL are not evaluated by this server: pip install 'controllerkit[cel]'"
_MESSAGE_BYTES_MAX: Final = 5 * 1024
"""apiserver ``apis/cel/config.go``, MaxEvaluatedMessageExpressionSizeBytes."""
_BLOCKING: Final = frozenset(
    {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"}
)
_JUNCTION: Final = re.compile(r'" must (?:not )?validate ')
"""Of ``anyOf`` and the like the real server tells what the nearest branch lacks too, which mostly blocks."""
UNCHECKED: Final = FieldError(
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)
_REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of the rules: findings that refuse the object, and sentences that only warn."""

    errors: tuple[FieldError, ...] = ()
    warnings: tuple[str, ...] = ()


def has_rules(schema: Any) -> bool:
    """Whether there is a rule anywhere in the schema."""
    if not isinstance(schema, Mapping):
        return False
    if schema.get(RULES):
        return True
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return any(map(has_rules, [*below, *(schema.get("allOf") or ())]))


def ask_rules(schema: Schema, value: Any, old: Any, found: list[FieldError]) -> Verdict:
    """Asks every rule about ``value``, which is defaulted, and has the structural findings ``found`` already.

    ``old`` is the object before an update. What is unchanged since then is warned of and not refused.
    """
    if any(one.reason in _BLOCKING or _JUNCTION.search(one.message) for one in found):
        return Verdict((UNCHECKED,))
    if not available():
        return Verdict()
    errors: list[FieldError] = []
    warnings: list[str] = []
    for one, refuses in _walk(schema, value, old, "", _Since(old is not None, old), root=True):
        if refuses and isinstance(one, FieldError):
            errors.append(one)
        else:
            warnings.append(str(one))
    return Verdict(tuple(errors), tuple(dict.fromkeys(warnings)))


@dataclass(frozen=True, slots=True)
class _Since:
    """What a place held before; where nothing can be said of the place, whether what is around it is unchanged."""

    known: bool
    old: Any
    around: bool = False

    def unchanged(self, value: Any) -> bool:
        return self.old == value if self.known else self.around

    def below(self, value: Any, child: Any, *, known: bool) -> _Since:
        return _Since(known, child, around=self.unchanged(value))


Found = tuple[FieldError | str, bool]


def _walk(schema: Schema, value: Any, old: Any, path: str, since: _Since, *, root: bool = False) -> Iterator[Found]:
    if value is None:
        return
    if rules := schema.get(RULES):
        for rule in rules:
            yield from _ask(schema, rule, value, old, path, since, root=root)
    for branch in schema.get("allOf") or ():
        whole = {**{key: child for key, child in schema.items() if key not in (RULES, "allOf")}, **branch}
        if has_rules(branch):
            yield from _walk(_only(whole, branch), value, old, path, _Since(False, None, since.around), root=root)
    if isinstance(value, Mapping):
        yield from _walk_fields(schema, value, old, path, since)
    elif isinstance(value, list) and isinstance(items := schema.get("items"), Mapping):
        befores = _by_keys(schema, old)
        for index, child in enumerate(value):
            identity = _identity(schema, child)
            before = befores.get(identity) if identity is not None else None
            place = since.below(value, before, known=identity in befores)
            yield from _walk(items, child, before, f"{path}[{index}]", place)


def _only(whole: Mapping[str, Any], branch: Mapping[str, Any]) -> Schema:
    """The types of the whole, the rules of the branch."""
    rules = branch.get(RULES)
    return {**whole, RULES: rules} if rules else whole


def _walk_fields(schema: Schema, value: Mapping[str, Any], old: Any, path: str, since: _Since) -> Iterator[Found]:
    before = old if isinstance(old, Mapping) else {}
    properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
    for name in sorted(value):
        child, was = value[name], before.get(name)
        place = since.below(value, was, known=since.known and name in before)
        if (inner := properties.get(name)) is not None:
            yield from _walk(inner, child, was, f"{path}.{name}" if path else name, place)
        elif isinstance(extra, Mapping):
            yield from _walk(extra, child, was, f"{path}[{name}]", place)


def _identity(schema: Schema, item: Any) -> str | None:
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(item, Mapping):
        return None
    return quote([item.get(key) for key in schema.get("x-kubernetes-list-map-keys") or ()])


def _by_keys(schema: Schema, items: Any) -> dict[str | None, Any]:
    """Items of a list that can be found again; those of other lists have no old self."""
    found = ((_identity(schema, item), item) for item in items) if isinstance(items, list) else ()
    return {identity: item for identity, item in found if identity is not None}


# -- one rule --------------------------------------------------------------------------------------------------------


def _ask(
    schema: Schema, rule: Mapping[str, Any], value: Any, old: Any, path: str, since: _Since, *, root: bool
) -> Iterator[Found]:
    text = str(rule.get("rule", ""))
    where, shown_rule = path or "<nil>", str(rule.get("message") or text).strip()
    kind = schema.get("type", "")
    try:
        expression = compiled(text, "self", "oldSelf")
        transition = "oldSelf" in expression.names
        if transition and old is None and not rule.get("optionalOldSelf"):
            return
        answer = _answer(expression, schema, rule, value, old, root=root)
    except CompileError as error:
        yield FieldError.invalid(where, kind, f"rule compile error: {error}"), True
    except NotHere as error:
        yield f"{where}: the rule {text!r} was not evaluated: {error}", False
    except EvaluationError as error:
        told = f"{error} evaluating rule: {shown_rule}"
        if str(error) == "no such overload":
            told = (
                f"'{error}': call arguments did not match a supported operator, function or macro signature "
                f"for rule: {shown_rule}"
            )
        yield FieldError.invalid(where, kind, told), True
    else:
        if answer is not True:
            refuses = transition or not since.unchanged(value)
            detail = _message(schema, rule, value, old, root=root)
            yield _finding(rule, kind, _below(path, rule), value, detail), refuses


def _given(
    expression: Expression, schema: Schema, rule: Mapping[str, Any], value: Any, old: Any, *, root: bool, ordered: bool
) -> dict[str, Any]:
    try:
        given = {"self": shown(schema, value, root=root, ordered=ordered)}
        before = None if old is None else shown(schema, old, root=root, ordered=ordered)
    except ValueError as error:
        raise NotHere(str(error)) from error
    if "oldSelf" in expression.names:
        if rule.get("optionalOldSelf"):
            import cel

            given["oldSelf"] = cel.OptionalValue.none() if old is None else cel.OptionalValue.of(before)
        elif old is not None:
            given["oldSelf"] = before
    return given


def _answer(
    expression: Expression, schema: Schema, rule: Mapping[str, Any], value: Any, old: Any, *, root: bool
) -> Any:
    """As lists without order (sets and maps) are equal whatever their order, they are shown in a fixed one too."""
    answer = expression.evaluate(_given(expression, schema, rule, value, old, root=root, ordered=False))
    if not unordered(schema):
        return answer
    ordered = expression.evaluate(_given(expression, schema, rule, value, old, root=root, ordered=True))
    if answer != ordered and expression.functions & ORDERED:
        raise NotHere("its answer depends on the order of a list that has none")
    return ordered


def _message(schema: Schema, rule: Mapping[str, Any], value: Any, old: Any, *, root: bool) -> str:
    """What its expression makes of it, else its message, else the rule itself."""
    if text := rule.get("messageExpression"):
        try:
            expression = compiled(text, "self", "oldSelf")
            given = _given(expression, schema, {}, value, old, root=root, ordered=False)
            told = expression.evaluate(given)
        except (CompileError, EvaluationError, NotHere):
            told = None
        if isinstance(told, str) and 0 < len(told.strip().encode()) <= _MESSAGE_BYTES_MAX and "\n" not in told.strip():
            return told.strip()
    message = str(rule.get("message") or "").strip()
    return message or f"failed rule: {str(rule['rule']).strip()}"


def _finding(rule: Mapping[str, Any], kind: str, where: str, value: Any, detail: str) -> FieldError:
    shown_value = "" if kind in ("object", "array") else f": {quote(value)}"
    match rule.get("reason"):
        case "FieldValueForbidden":
            return FieldError.forbidden(where, detail)
        case "FieldValueRequired":
            return FieldError.required(where, detail)
        case "FieldValueDuplicate":
            return FieldError(where, f"Duplicate value{shown_value}", "FieldValueDuplicate")
        case _:
            return FieldError(where, f"Invalid value{shown_value}: {detail}")


_STEP: Final = re.compile(r"\.([^.\[\]]+)|\['((?:\\.|[^'\\])*)'\]")


def _below(path: str, rule: Mapping[str, Any]) -> str:
    """The rule's field, below its own place."""
    field = "".join(f".{plain or quoted}" for plain, quoted in _STEP.findall(str(rule.get("fieldPath") or "")))
    return f"{path}{field}".removeprefix(".") or "<nil>"


# -- definitions -----------------------------------------------------------------------------------------------------


def validate_rules(schema: Schema, path: str, *, root: bool = True, apart: str = "") -> Iterator[FieldError]:
    """Findings in the rules of a schema at ``path``; ``apart`` is the list above whose items are not told apart."""
    for index, rule in enumerate(schema.get(RULES) or ()):
        where = f"{path}.{RULES}[{index}]"
        malformed = list(_validate_form(schema, rule, where))
        yield from malformed
        if not malformed and available():
            yield from _validate_expressions(schema, rule, where, root=root, apart=apart)
    for name, child in (schema.get("properties") or {}).items():
        yield from validate_rules(child, f"{path}.properties[{name}]", root=False, apart=apart)
    if isinstance(extra := schema.get("additionalProperties"), Mapping):
        yield from validate_rules(extra, f"{path}.additionalProperties", root=False, apart=apart)
    if isinstance(items := schema.get("items"), Mapping):
        above = apart or ("" if schema.get("x-kubernetes-list-type") == "map" else f"{path}.items")
        yield from validate_rules(items, f"{path}.items", root=False, apart=above)


def _validate_form(schema: Schema, rule: Mapping[str, Any], where: str) -> Iterator[FieldError]:
    text, message = str(rule.get("rule") or ""), str(rule.get("message") or "")
    if not text.strip():
        yield FieldError.required(f"{where}.rule", "rule is not specified")
    elif message and not message.strip():
        yield FieldError.invalid(f"{where}.message", message, "must be non-empty if specified")
    elif "\n" in message.strip():
        yield FieldError.invalid(f"{where}.message", message, "must not contain line breaks")
    elif "\n" in text.strip() and not message.strip():
        detail = "message must be specified if rule contains line breaks"
        yield FieldError.required(f"{where}.message", detail)
    if (reason := rule.get("reason")) is not None and reason not in _REASONS:
        yield FieldError.unsupported(f"{where}.reason", reason, _REASONS)
    field = str(rule.get("fieldPath") or "")
    if field and not _valid_path(schema, field):
        yield FieldError.invalid(f"{where}.fieldPath", field, "must be a valid path")


def _valid_path(schema: Any, field: str) -> bool:
    position = 0
    for found in _STEP.finditer(field):
        if found.start() != position or not isinstance(schema, Mapping):
            return False
        position = found.end()
        name = found[1] or found[2]
        schema = (schema.get("properties") or {}).get(name, schema.get("additionalProperties"))
    return position == len(field) and isinstance(schema, Mapping)


def _validate_expressions(
    schema: Schema, rule: Mapping[str, Any], where: str, *, root: bool, apart: str
) -> Iterator[FieldError]:
    shown_rule = {"Rule": rule["rule"], "Message": rule.get("message", "")}
    transition = False
    for name in ("rule", "messageExpression"):
        if not (text := str(rule.get(name) or "")):
            continue
        try:
            expression = compiled(text, "self", "oldSelf")
            _check_fields(expression, schema, root=root)
        except NotHere:
            continue
        except CompileError as error:
            yield FieldError.invalid(f"{where}.{name}", shown_rule, _compile_detail(name, error))
            continue
        if name == "rule":
            transition = "oldSelf" in expression.names
            if transition and apart:
                detail = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {apart}"
                yield FieldError.invalid(f"{where}.rule", text, detail)
            elif not transition and rule.get("optionalOldSelf") is not None:
                detail = "may not be set if oldSelf is not used in rule"
                yield FieldError.invalid(f"{where}.optionalOldSelf", rule["optionalOldSelf"], detail)


def _compile_detail(name: str, error: CompileError) -> str:
    head = "" if name == "rule" else "messageExpression "
    return f"{head}compilation failed: {error}"


_CHAIN: Final = re.compile(r"(?<![\w.])(?:self|oldSelf)((?:\s*\.\s*[A-Za-z_]\w*(?![\w\s]*\())+)")


def _check_fields(expression: Expression, schema: Schema, *, root: bool) -> None:
    """Raises CompileError for ``self.a.b`` where the schema has no such field; what follows a call is not seen."""
    for chain in _CHAIN.findall(expression.bare):
        here: Any = schema
        at_root = root
        for name in (step.strip() for step in chain.split(".") if step.strip()):
            if name in ("hasValue", "value", "orValue"):
                break
            here = _field(here, name, root=at_root)
            at_root = False
            if here is None:
                break


_NAMED: Final[Schema] = {"type": "object", "properties": {"name": {}, "generateName": {}}}


def _field(schema: Any, name: str, *, root: bool) -> Any:
    """The schema below; None where it is not told.

    Raises:
        CompileError: there is no such field.
    """
    if not isinstance(schema, Mapping) or not schema.get("type"):
        return None
    if root or schema.get("x-kubernetes-embedded-resource"):
        if name == "metadata":
            return _NAMED
        if name in ("apiVersion", "kind"):
            return {"type": "string"}
    if schema["type"] != "object":
        raise CompileError(f"ERROR: <input>:1:5: type '{schema['type']}' does not support field selection")
    if isinstance(extra := schema.get("additionalProperties"), Mapping):
        return extra
    for declared, child in (schema.get("properties") or {}).items():
        if cel_name(declared) == name:
            return child
    raise CompileError(f"ERROR: <input>:1:5: undefined field '{name}'")
