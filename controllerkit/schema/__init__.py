"""Types: what a user declares, and what the API calls it.

Rule of the room: no I/O; lower than everything but objects and errors.
"""

from controllerkit.schema.definition import custom_resource_definition
from controllerkit.schema.judging import judge_resource
from controllerkit.schema.markers import (
    Cel,
    Keywords,
    at_least_one_of,
    at_most_one_of,
    cel,
    exactly_one_of,
    list_atomic,
    list_map,
    list_set,
    map_atomic,
    map_granular,
    nullable,
    preserve_unknown,
    schema_format,
    server_default,
    wire_schema,
)
from controllerkit.schema.resource import ApiModel, Column, Metadata, Resource, Scale
from controllerkit.schema.rules import Judgement, LeftToServer, Violation
from controllerkit.schema.stored import as_stored, with_defaults
from controllerkit.schema.structural import structural_schema
from controllerkit.schema.types import Duration, EmbeddedObject, Int32, Int64, IntOrString, Quantity

__all__ = [
    "ApiModel",
    "Cel",
    "Column",
    "Duration",
    "EmbeddedObject",
    "Int32",
    "Int64",
    "IntOrString",
    "Judgement",
    "Keywords",
    "LeftToServer",
    "Metadata",
    "Quantity",
    "Resource",
    "Scale",
    "Violation",
    "as_stored",
    "at_least_one_of",
    "at_most_one_of",
    "cel",
    "custom_resource_definition",
    "exactly_one_of",
    "judge_resource",
    "list_atomic",
    "list_map",
    "list_set",
    "map_atomic",
    "map_granular",
    "nullable",
    "preserve_unknown",
    "schema_format",
    "server_default",
    "structural_schema",
    "wire_schema",
    "with_defaults",
]
