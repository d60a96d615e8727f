"""Models → structural schemas: OpenAPI v3 as CustomResourceDefinitions demand it.

No references, one type per field, value rules apart from the types, defaults that the server can fill in. What
cannot be said so is refused here, by model and field, rather than by the server or not at all.

Source: kubernetes.io, "Specifying a structural schema"; apiextensions ``pkg/apiserver/schema``.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import inspect
import ipaddress
import re
import types
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Annotated, Any, Final, ForwardRef, Literal, Union, get_args, get_origin

import annotated_types
import pydantic
from pydantic import BaseModel, PlainSerializer, RootModel, TypeAdapter, WrapSerializer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typing_extensions import TypeAliasType

from controllerkit.errors import ConfigError
from controllerkit.schema.compiling import rule_problem
from controllerkit.schema.markers import Cel, Keywords
from controllerkit.schema.stored import with_defaults
from controllerkit.schema.types import Quantity

__all__ = ["ROOT_FIELDS", "find_schema", "structural_schema"]

Schema = dict[str, Any]

ROOT_FIELDS: Final[Mapping[str, Any]] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object"},
}
"""What every resource has; apiextensions lets a schema say no more of them."""

_ORDER: Final = (
    "description",
    "type",
    "format",
    "nullable",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "x-kubernetes-validations",
)
_RANK: Final = {keyword: rank for rank, keyword in enumerate(_ORDER)}

_PLAIN: Final[Mapping[Any, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
    pydantic.AwareDatetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    ipaddress.IPv4Address: {"type": "string", "format": "ipv4"},
    ipaddress.IPv6Address: {"type": "string", "format": "ipv6"},
    Quantity: Quantity.structural,
    Any: {"x-kubernetes-preserve-unknown-fields": True},
    object: {"x-kubernetes-preserve-unknown-fields": True},
    pydantic.JsonValue: {"x-kubernetes-preserve-unknown-fields": True},
}
_ARRAYS: Final = (list, tuple, Sequence, collections.abc.Collection, collections.abc.Iterable)
_SETS: Final = (set, frozenset, collections.abc.Set, collections.abc.MutableSet)
_MAPS: Final = (dict, Mapping, collections.abc.MutableMapping)
_CURES: Final[Mapping[Any, str]] = {
    timedelta: "use controllerkit.schema.Duration, which is written as Go writes durations",
    Decimal: "use controllerkit.schema.Quantity, or float",
    bytes: "use pydantic.Base64Bytes: JSON holds no bytes",
    time: "the API knows no time of day; use str with a pattern",
    type(None): "give the field a type",
}
_RE2_LACKS: Final = re.compile(r"\(\?<?[=!]|\(\?P=|\(\?\(|\(\?>|\\[1-9]|\\Z|[*+?}]\+")
"""Look-around, back-references, conditions, atomic groups, possessive repeats, and Python's own end of text."""


@dataclass(frozen=True, slots=True)
class _At:
    """Where the compiler is."""

    model: str
    field: str
    defaults: bool
    within: tuple[type[BaseModel], ...] = ()
    made: dict[tuple[type[BaseModel], bool], Schema] = dataclasses.field(default_factory=dict)
    """Schemas of models, by whether defaults are the server's: a model that stands in many places is compiled once."""

    def refuse(self, what: str, cure: str) -> ConfigError:
        return ConfigError(f"{self.model}.{self.field}: {what}; {cure}")


def structural_schema(model: type[BaseModel]) -> Schema:
    """The schema of a `Resource`, or of any model. The same model gives the same bytes.

    Guarantees:
        Fields come in the order they are declared, by their API names; inherited ones first. A field without a
        default is required. Defaults that are neither None nor empty become the server's, but for those of
        ``status`` and of classes with ``server_defaults=False``. A class's docstring, its first paragraph, and
        ``Field(description=…)`` become descriptions. Validators written in Python stay in Python.

    Raises:
        ConfigError: something cannot be said in a structural schema; the message names model, field and cure.
    """
    at = _At(model.__name__, "", defaults=True)
    schema = _of_model(model, at)
    if _is_resource(model):
        own = {name: child for name, child in schema.get("properties", {}).items() if name != "metadata"}
        schema["properties"] = {**ROOT_FIELDS, **own}
    return schema


def _is_resource(model: type[BaseModel]) -> bool:
    return hasattr(model, "resource_kind")


# -- objects ---------------------------------------------------------------------------------------------------------


def _of_model(model: type[BaseModel], at: _At) -> Schema:
    if model in at.within:
        chain = " → ".join(each.__name__ for each in (*at.within[at.within.index(model) :], model))
        raise at.refuse(f"{chain} is recursive", "a structural schema is finite; end it with dict[str, Any]")
    if (known := at.made.get((model, at.defaults))) is None:
        known = at.made[model, at.defaults] = _made(model, at)
    return dict(known)


def _made(model: type[BaseModel], at: _At) -> Schema:
    if issubclass(model, RootModel):
        return _of_field(model.model_fields["root"], replace(at, within=(*at.within, model)))
    if not model.__pydantic_fields_complete__:
        model.model_rebuild(raise_errors=False)
    within = (*at.within, model)
    defaults = at.defaults and bool(getattr(model, "_server_defaults", True))
    if model.model_computed_fields:
        name = next(iter(model.model_computed_fields))
        raise _At(model.__name__, name, defaults=False).refuse(
            "a computed field would be sent to a server that does not know it", "make it a plain property"
        )
    properties: Schema = {}
    required: list[str] = []
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        status = name == "status" and _is_resource(model) and not at.within
        here = _At(model.__name__, name, defaults and not status, within, at.made)
        if name == "metadata" and _is_resource(model):
            continue
        api = _api_name(name, field, here)
        if api in properties:
            raise here.refuse(f"two fields are called {api} in the API", "give one of them another alias")
        properties[api] = _of_field(field, here)
        if field.is_required():
            if status:
                raise here.refuse("status is required, but it is the operator that writes it", "give it a default")
            required.append(api)
    schema: Schema = {"type": "object"}
    if text := _description_of(model):
        schema["description"] = text
    if required:
        schema["required"] = required
    if properties:
        schema["properties"] = properties
    if model.model_config.get("extra") == "allow":
        schema["x-kubernetes-preserve-unknown-fields"] = True
    for each in getattr(model, "_keywords", ()):
        schema.update(each.values)
    _add_rules(schema, getattr(model, "_rules", ()))
    for rule in getattr(model, "_rules", ()):
        if problem := rule_problem(rule.rule, schema, root=_is_resource(model)):
            raise ConfigError(f"{model.__name__}: the rule {rule.rule!r}: {problem}; put the rule right")
    return _ordered(schema)


def _api_name(name: str, field: FieldInfo, at: _At) -> str:
    written = field.serialization_alias or field.alias or name
    read = field.validation_alias or field.alias or name
    if written != read:
        raise at.refuse(f"it is read as {read!r} and written as {written!r}", "give it one alias")
    return written


def _description_of(model: type[BaseModel]) -> str:
    text = model.__dict__.get("__doc__")
    return _as_text(text.split("\n\n", 1)[0]) if text else ""


def _as_text(text: str) -> str:
    return re.sub(r"\s+", " ", inspect.cleandoc(text).replace("``", "")).strip()


def _add_rules(schema: Schema, rules: Sequence[Cel]) -> None:
    if rules:
        schema["x-kubernetes-validations"] = [
            *schema.get("x-kubernetes-validations", ()),
            *(rule.to_dict() for rule in rules),
        ]


def _ordered(schema: Schema) -> Schema:
    return dict(sorted(schema.items(), key=lambda pair: _RANK.get(pair[0], len(_ORDER))))


# -- fields ----------------------------------------------------------------------------------------------------------


def _of_field(field: FieldInfo, at: _At) -> Schema:
    schema = _of_type(field.annotation, field.metadata, at)
    if field.description:
        schema["description"] = _as_text(field.description)
    nullable = bool(schema.get("nullable"))
    if field.is_required() and _allows_none(field.annotation) and not nullable:
        raise at.refuse(
            "it is required and may be None, which is not sent", "give it the default None, or nullable() and one"
        )
    if at.defaults and (default := _default_of(field, schema, at)) is not None:
        schema["default"] = default
    return _ordered(schema)


def _allows_none(annotation: Any) -> bool:
    return type(None) in _members(annotation) if _is_union(annotation) else annotation is None


def _default_of(field: FieldInfo, schema: Schema, at: _At) -> Any:
    """As the API writes it; None where the server has nothing to fill in."""
    if field.is_required():
        return None
    if field.default_factory is not None and field.default_factory_takes_validated_data:
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined:
        return None
    annotation: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        checked = adapter.validate_python(value)
        written = adapter.dump_python(checked, mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    except (ValueError, pydantic.PydanticSchemaGenerationError) as error:
        raise at.refuse(f"its default {value!r} does not fit it", f"change the one or the other ({error})") from error
    if isinstance(value, BaseModel):
        # The server fills in what is inside only where there is something to fill it into; and it asks the rules
        # about a default as it stands.
        if _has_rules(schema):
            written = with_defaults(schema, written)
        return written if written or _fills_in(schema) else None
    return None if written in ("", [], {}) else written


def _fills_in(schema: Mapping[str, Any]) -> bool:
    return any("default" in child for child in schema.get("properties", {}).values())


def _has_rules(schema: Mapping[str, Any]) -> bool:
    inner = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return "x-kubernetes-validations" in schema or any(each and _has_rules(each) for each in inner)


# -- types -----------------------------------------------------------------------------------------------------------


def _of_type(annotation: Any, metadata: Sequence[Any], at: _At) -> Schema:
    if isinstance(annotation, TypeAliasType) and annotation not in _PLAIN:
        return _of_type(annotation.__value__, metadata, at)
    if get_origin(annotation) is Annotated and annotation not in _PLAIN:
        inner = FieldInfo.from_annotation(annotation)
        return _of_type(inner.annotation, [*inner.metadata, *metadata], at)
    wholes = [each for each in metadata if isinstance(each, Keywords) and each.whole]
    if wholes:
        schema = dict(wholes[-1].values)
    else:
        _refuse_serializers(metadata, at)
        schema = _base(annotation, metadata, at)
    for each in _flat(metadata):
        if isinstance(each, Keywords) and not each.whole:
            schema.update(each.values)
        elif isinstance(each, Cel):
            _add_rules(schema, [each])
            if problem := rule_problem(each.rule, schema):
                raise at.refuse(f"the rule {each.rule!r}: {problem}", "put the rule right")
        else:
            _constrain(schema, each, at)
    _check_list(schema, at)
    return _ordered(schema)


def _refuse_serializers(metadata: Sequence[Any], at: _At) -> None:
    for each in metadata:
        if isinstance(each, PlainSerializer | WrapSerializer):
            raise at.refuse("a serializer makes of it what the compiler cannot see", "add wire_schema(type=…)")


def _base(annotation: Any, metadata: Sequence[Any], at: _At) -> Schema:
    if _is_union(annotation):
        return _of_union([each for each in _members(annotation) if each is not type(None)], at)
    try:
        if (plain := _PLAIN.get(annotation)) is not None:
            return dict(plain)
    except TypeError:  # an annotation that cannot be hashed
        pass
    origin = get_origin(annotation) or annotation
    if origin is Literal:
        return _of_values([value for value in get_args(annotation) if value is not None], at)
    if origin in _MAPS:
        return _of_map(get_args(annotation), at)
    if origin in _ARRAYS or origin in _SETS:
        return _of_array(origin, get_args(annotation), at)
    if annotation is bytes and any(type(each).__name__ == "EncodedBytes" for each in metadata):
        return {"type": "string", "format": "byte"}
    if isinstance(annotation, type) and (found := _of_class(annotation, at)) is not None:
        return found
    if isinstance(annotation, ForwardRef):
        raise at.refuse(
            f"a name in {annotation.__forward_arg__!r} is not known where it is declared",
            "define it before, or at the module's own level",
        )
    cure = _CURES.get(annotation) if isinstance(annotation, type) else None
    shown = getattr(annotation, "__name__", None) or str(annotation)
    raise at.refuse(
        f"{shown} has no form in a structural schema",
        cure or "use a type of JSON, an ApiModel, or say what it is with Annotated[…, wire_schema(type=…)]",
    )


def _of_class(annotation: type, at: _At) -> Schema | None:
    if issubclass(annotation, BaseModel):
        if _is_resource(annotation):
            raise at.refuse(f"{annotation.__name__} is a resource of its own", "use EmbeddedObject")
        return _of_model(annotation, at)
    if issubclass(annotation, enum.Enum):
        return _of_values([member.value for member in annotation], at)
    if issubclass(annotation, PurePath):
        return {"type": "string"}
    if hasattr(annotation, "_constraints") and annotation.__module__ == "pydantic.networks":
        return {"type": "string", "format": "uri"}
    return None


def _of_values(values: Sequence[Any], at: _At) -> Schema:
    kinds = {type(value) for value in values}
    kind = next(iter(kinds)) if len(kinds) == 1 else None
    names = {str: "string", int: "integer", bool: "boolean", float: "number"}
    if kind not in names:
        raise at.refuse(f"the values {list(values)} are of several types", "an enum is of strings or of numbers")
    return {"type": names[kind], "enum": list(dict.fromkeys(values))}


def _of_map(arguments: tuple[Any, ...], at: _At) -> Schema:
    key, value = arguments or (str, Any)
    if key is not str:
        shown = getattr(key, "__name__", str(key))
        raise at.refuse(f"keys of type {shown} cannot be described", "use dict[str, …], and a cel() rule on its keys")
    inner = _of_type(value, (), at)
    if inner == _PLAIN[Any]:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"type": "object", "additionalProperties": inner}


def _of_array(origin: Any, arguments: tuple[Any, ...], at: _At) -> Schema:
    if origin is tuple and arguments and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        raise at.refuse("items of a fixed number and order cannot be described", "use tuple[X, ...] or an ApiModel")
    schema: Schema = {"type": "array", "items": _of_type(arguments[0] if arguments else Any, (), at)}
    if origin in _SETS:
        schema["x-kubernetes-list-type"] = "set"
    return schema


def _check_list(schema: Schema, at: _At) -> None:
    kind, items = schema.get("x-kubernetes-list-type"), schema.get("items", {})
    if kind is None:
        return
    if schema.get("type") != "array":
        raise at.refuse(f"x-kubernetes-list-type {kind} is for lists", "put it on a list[…]")
    if kind == "set" and "type" not in items and not items.get("x-kubernetes-int-or-string"):
        raise at.refuse("a set of anything cannot be compared", "give its items a scalar type, or use list[Any]")
    if kind == "set" and items.get("type") in ("object", "array"):
        atomic = items.get("x-kubernetes-map-type") == "atomic" or items.get("x-kubernetes-list-type") == "atomic"
        if not atomic:
            raise at.refuse("a set holds scalars", "use list_map(key), or items that are atomic")
    if kind != "map":
        return
    properties, keys = items.get("properties", {}), schema["x-kubernetes-list-map-keys"]
    if not keys:
        raise at.refuse("list_map without keys", "name the fields that tell items apart")
    for key in keys:
        child = properties.get(key)
        if child is None:
            raise at.refuse(f"list_map key {key!r} is no field of its items", f"one of {', '.join(properties)}")
        if child.get("type") in ("object", "array") or child.get("nullable"):
            raise at.refuse(
                f"list_map key {key!r} is no scalar", "choose a string, number or boolean that is never null"
            )
        if key not in items.get("required", ()) and "default" not in child:
            raise at.refuse(f"list_map key {key!r} may be absent", "give it no default, or one the server fills in")


# -- constraints -----------------------------------------------------------------------------------------------------


def _flat(metadata: Sequence[Any]) -> list[Any]:
    """Groups of constraints, such as pydantic's StringConstraints, spread out."""
    spread: list[Any] = []
    for each in metadata:
        grouped = isinstance(each, annotated_types.GroupedMetadata)
        spread += _flat(list(each)) if grouped else [each]
    return spread


def _constrain(schema: Schema, constraint: Any, at: _At) -> None:
    match constraint:
        case annotated_types.Ge(ge=bound):
            schema["minimum"] = _number(bound, at)
        case annotated_types.Gt(gt=bound):
            schema |= {"minimum": _number(bound, at), "exclusiveMinimum": True}
        case annotated_types.Le(le=bound):
            schema["maximum"] = _number(bound, at)
        case annotated_types.Lt(lt=bound):
            schema |= {"maximum": _number(bound, at), "exclusiveMaximum": True}
        case annotated_types.MultipleOf(multiple_of=factor):
            schema["multipleOf"] = _number(factor, at)
        case annotated_types.MinLen(min_length=count):
            schema[_count_keyword(schema, "min", at)] = count
        case annotated_types.MaxLen(max_length=count):
            schema[_count_keyword(schema, "max", at)] = count
        case _ if (pattern := getattr(constraint, "pattern", None)) is not None:
            schema["pattern"] = _pattern(pattern if isinstance(pattern, str) else pattern.pattern, at)


def _number(value: Any, at: _At) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise at.refuse(f"the bound {value!r} is no number", "compare in a cel() rule instead")
    return value


def _count_keyword(schema: Schema, which: str, at: _At) -> str:
    noun = {"string": "Length", "array": "Items", "object": "Properties"}.get(schema.get("type", ""))
    if noun is None:
        raise at.refuse("a length is for strings, lists and maps", "bound the number with ge= and le=")
    return which + noun


def _pattern(text: str, at: _At) -> str:
    if (found := _RE2_LACKS.search(re.sub(r"\\\\", "", text))) is not None:
        raise at.refuse(
            f"{found[0]!r} of the pattern {text!r} is not in RE2, which the API server uses",
            "rewrite it, or use a cel() rule",
        )
    return text


# -- unions ----------------------------------------------------------------------------------------------------------


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _members(annotation: Any) -> list[Any]:
    return [each for part in get_args(annotation) for each in (_members(part) if _is_union(part) else [part])]


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _of_union(members: list[Any], at: _At) -> Schema:
    if len(members) == 1:
        return _of_type(members[0], (), at)
    bare = {each for each in map(_bare, members) if isinstance(each, type)}
    if bare == {int, str} and len(members) == 2:
        return {"x-kubernetes-int-or-string": True}
    if bare == {int, float}:
        return {"type": "number"}
    if all(isinstance(each, type) and issubclass(each, BaseModel) for each in map(_bare, members)):
        return _of_models([_bare(each) for each in members], at)
    branches = [_of_type(each, (), at) for each in members]
    kinds = {branch.get("type") for branch in branches}
    if len(kinds) == 1 and kinds <= {"string", "integer", "number", "boolean"}:
        rests = [{name: value for name, value in branch.items() if name != "type"} for branch in branches]
        kind = {"type": kinds.pop()}
        if all(rest.keys() == {"enum"} for rest in rests):
            return {**kind, "enum": list(dict.fromkeys(value for rest in rests for value in rest["enum"]))}
        return {**kind, "anyOf": rests} if all(rests) else kind
    shown = " | ".join(getattr(each, "__name__", str(each)) for each in members)
    raise at.refuse(
        f"{shown} has several types, and a structural schema knows one per field",
        "X | None, int | str, unions of models and of one scalar type can be said; else use Any",
    )


def _of_models(models: list[type[BaseModel]], at: _At) -> Schema:
    """One object with the fields of all, of which value rules demand those of one."""
    schemas = [_of_model(model, at) for model in models]
    properties: Schema = {}
    tags: dict[str, list[Any]] = {}
    for schema in schemas:
        for name, child in schema.get("properties", {}).items():
            known = properties.setdefault(name, child)
            if known == child:
                continue
            if not ("enum" in known and "enum" in child and known["type"] == child["type"]):
                shown = " | ".join(model.__name__ for model in models)
                raise at.refuse(f"{name} differs between {shown}", "give it one type, or another name in one of them")
            tags.setdefault(name, list(known["enum"]))
            tags[name] += [value for value in child["enum"] if value not in tags[name]]
            properties[name] = {**known, "enum": tags[name]}
    required = [name for name in schemas[0].get("required", ()) if all(name in s.get("required", ()) for s in schemas)]
    branches = [_branch(schema, tags, required) for schema in schemas]
    merged: Schema = {"type": "object", "properties": properties}
    if required:
        merged["required"] = required
    if all(branches):
        merged["oneOf" if tags else "anyOf"] = branches
    for schema in schemas:
        if "x-kubernetes-validations" in schema:
            raise at.refuse("rules of a model in a union hold for that model alone", "put them on the union's field")
        if schema.get("x-kubernetes-preserve-unknown-fields"):
            merged["x-kubernetes-preserve-unknown-fields"] = True
    return _ordered(merged)


def _branch(schema: Mapping[str, Any], tags: Mapping[str, Any], common: Sequence[str]) -> Schema:
    branch: Schema = {}
    own = [name for name in schema.get("required", ()) if name not in common or name in tags]
    if own:
        branch["required"] = own
    told = {name: {"enum": child["enum"]} for name, child in schema.get("properties", {}).items() if name in tags}
    return {**branch, "properties": told} if told else branch


# -- looking into a schema -------------------------------------------------------------------------------------------


def find_schema(schema: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """The schema of the field at a simple JSON path, ``.spec.size``; None where there is no such field.

    Where unknown fields are kept anything may be, and the answer is an empty schema. An index or filter
    (``[…]``) leads to the items.
    """
    current: Mapping[str, Any] = schema
    for name, index in re.findall(r"\.([^.\[]+)|(\[[^\]]*\])", path):
        if index:
            found = current.get("items")
        else:
            found = current.get("properties", {}).get(name) or current.get("additionalProperties")
        if found is None:
            return {} if current.get("x-kubernetes-preserve-unknown-fields") else None
        current = found
        if current is ROOT_FIELDS["metadata"]:
            return {}
    return current
