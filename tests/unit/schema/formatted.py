"""A resource with a text of every format, every bound, and shapes that only one's own word can describe."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from controllerkit.schema import ApiModel, EmbeddedObject, Resource, list_map, nullable, schema_format, wire_schema
from controllerkit.schema.formats import FORMATS

GROUP = "formatted.example.dev"


class Item(ApiModel):
    name: str
    zone: str = "a"
    weight: int | None = None
    note: Annotated[str | None, nullable()] = None


Said = wire_schema(
    type="object",
    properties={
        "text": {"type": "string", "allOf": [{"minLength": 2}, {"pattern": "^a"}]},
        "other": {"type": "integer", "not": {"enum": [13]}},
        "one": {"type": "string", "oneOf": [{"pattern": "a"}, {"pattern": "b"}]},
        "any": {"type": "integer", "anyOf": [{"maximum": 3}, {"minimum": 7}]},
        "unique": {"type": "array", "items": {"type": "object", "x-kubernetes-map-type": "atomic",
                   "properties": {"a": {"type": "integer"}}}, "x-kubernetes-list-type": "set"},
        "nothing": {"type": "string", "nullable": True, "enum": ["a", "b"]},
        "filled": {"type": "array", "items": {"type": "integer", "default": 5}},
        "counted": {"type": "object", "minProperties": 1, "maxProperties": 2,
                    "additionalProperties": {"type": "string", "nullable": True}},
    },
)  # fmt: skip

FormattedSpec = type(
    "FormattedSpec",
    (ApiModel,),
    {
        "__module__": __name__,
        "__annotations__": {
            **{f"text_{name}": Annotated[str, schema_format(name)] for name in sorted(FORMATS)},
            "text_unknown": Annotated[str, schema_format("colour")],
            "said": Annotated[dict[str, Any], Said],
            "plain": list[Item],
            "keyed": Annotated[list[Item], list_map("name", "zone")],
            "single": Annotated[list[Item], list_map("name")],
            "by_name": dict[str, Item],
            "objects": list[EmbeddedObject],
            "whole": Annotated[int, Field(ge=-3, le=2**40)],
            "real": Annotated[float, Field(ge=-0.5, le=1e9)],
        },
        **{f"text_{name}": "" for name in sorted(FORMATS)},
        "text_unknown": "",
        "said": Field(default_factory=dict),
        "plain": Field(default_factory=list),
        "keyed": Field(default_factory=list),
        "single": Field(default_factory=list),
        "by_name": Field(default_factory=dict),
        "objects": Field(default_factory=list),
        "whole": 0,
        "real": 0.0,
    },
)


class Formatted(Resource, group=GROUP, version="v1", plural="formatteds"):
    spec: FormattedSpec  # type: ignore[valid-type]
