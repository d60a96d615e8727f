"""Models → a CustomResourceDefinition."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from controllerkit.errors import ConfigError
from controllerkit.schema.resource import Column, Resource, Scale, Serving
from controllerkit.schema.structural import find_schema, structural_schema

__all__ = ["custom_resource_definition", "version_priority"]

SELECTABLE_MAX: Final = 8
"""apiextensions ``MaxSelectableFields``: fields a version may offer to selectors."""

_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STABILITY: Final = {None: 2, "beta": 1, "alpha": 0}
_SIMPLE_PATH: Final = re.compile(r"(\.[A-Za-z_][A-Za-z0-9_-]*)+")


def version_priority(name: str) -> tuple[int, int, int, str]:
    """Sorts versions as the API does, the preferred one last.

    >>> sorted(["v1", "v2beta1", "v10", "v1alpha1", "other"], key=version_priority)
    ['other', 'v1alpha1', 'v2beta1', 'v1', 'v10']
    """
    found = _VERSION.fullmatch(name)
    return (-1, 0, 0, name) if found is None else (_STABILITY[found[2]], int(found[1]), int(found[3] or 0), "")


def custom_resource_definition(*models: type[Resource], conversion: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The definition of one kind; one model for each of its versions.

    Guarantees:
        The same models give the same definition, in whatever order they come: the preferred version is first. Short
        names, categories and the singular are those of the stored version.

    Args:
        conversion: ``spec.conversion``, where another than ``strategy: None`` (only apiVersion changes).

    Raises:
        ConfigError: the models are not versions of one kind, none or several are stored, or a schema, column,
            scale or selectable field cannot be; the message says which and what to do.
    """
    if not models:
        raise ConfigError("a CustomResourceDefinition needs a model: the class of a Resource")
    ordered = sorted(models, key=lambda model: version_priority(model.resource_kind().version), reverse=True)
    _check_versions(ordered)
    stored = _stored(ordered)
    kind, serving = stored.resource_kind(), stored.serving()
    names: dict[str, Any] = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": serving.singular or kind.kind.lower(),
    }
    if serving.short_names:
        names["shortNames"] = list(serving.short_names)
    if serving.categories:
        names["categories"] = list(serving.categories)
    spec: dict[str, Any] = {
        "group": kind.group,
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "names": names,
    }
    if conversion is not None:
        spec["conversion"] = dict(conversion)
    spec["versions"] = [_version(model, stored=model is stored) for model in ordered]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": spec,
    }


def _check_versions(models: Sequence[type[Resource]]) -> None:
    first = models[0].resource_kind()
    if "." not in first.group:
        raise ConfigError(f"{models[0].__name__}: the group of a custom resource has a dot, got {first.group!r}")
    seen: dict[str, str] = {}
    for model in models:
        kind = model.resource_kind()
        for name in ("group", "kind", "plural", "namespaced"):
            if getattr(kind, name) != getattr(first, name):
                raise ConfigError(
                    f"{model.__name__} and {models[0].__name__} are no versions of one kind: {name} is "
                    f"{getattr(kind, name)!r} and {getattr(first, name)!r}; give both the same, or separate definitions"
                )
        if kind.version in seen:
            raise ConfigError(f"{model.__name__} and {seen[kind.version]} are both {kind.version}; leave one out")
        seen[kind.version] = model.__name__


def _stored(models: Sequence[type[Resource]]) -> type[Resource]:
    stored = [model for model in models if model.serving().storage]
    if not stored and len(models) == 1 and models[0].serving().storage is None:
        return models[0]
    if len(stored) != 1:
        shown = ", ".join(f"{model.__name__} ({model.resource_kind().version})" for model in stored or models)
        problem = "all of these are" if stored else "none of these is"
        raise ConfigError(f"one version is stored, and {problem}: {shown}; give one of them storage=True")
    return stored[0]


def _version(model: type[Resource], *, stored: bool) -> dict[str, Any]:
    serving, schema = model.serving(), structural_schema(model)
    version: dict[str, Any] = {
        "name": model.resource_kind().version,
        "served": serving.served,
        "storage": stored,
    }
    if serving.deprecated:
        version["deprecated"] = True
        if isinstance(serving.deprecated, str):
            version["deprecationWarning"] = serving.deprecated
    if subresources := _subresources(model, serving, schema):
        version["subresources"] = subresources
    if serving.columns:
        version["additionalPrinterColumns"] = [_column(model, column, schema) for column in serving.columns]
    if serving.selectable:
        version["selectableFields"] = _selectable(model, serving.selectable, schema)
    version["schema"] = {"openAPIV3Schema": schema}
    return version


def _subresources(model: type[Resource], serving: Serving, schema: Mapping[str, Any]) -> dict[str, Any]:
    subresources: dict[str, Any] = {"status": {}} if "status" in schema["properties"] else {}
    if serving.scale is not None:
        subresources["scale"] = _scale(model, serving.scale, schema)
    return subresources


def _scale(model: type[Resource], scale: Scale, schema: Mapping[str, Any]) -> dict[str, str]:
    wanted = [
        ("specReplicasPath", scale.spec, ".spec.", "integer"),
        ("statusReplicasPath", scale.status, ".status.", "integer"),
    ]
    if scale.selector:
        wanted.append(("labelSelectorPath", scale.selector, ".", "string"))
    for name, path, start, kind in wanted:
        found = find_schema(schema, path) if _SIMPLE_PATH.fullmatch(path) and path.startswith(start) else None
        if found is None or found.get("type", kind) != kind:
            raise ConfigError(
                f"{model.__name__}: the scale's {name} {path!r} is no {kind} field under {start.strip('.') or 'it'}; "
                f"name one, as {start}replicas, or leave the scale out"
            )
    return {name: path for name, path, _, _ in wanted}


def _column(model: type[Resource], column: Column, schema: Mapping[str, Any]) -> dict[str, Any]:
    path = re.split(r"[\[]", column.path, maxsplit=1)[0]
    if not path.startswith(".") or find_schema(schema, path) is None:
        raise ConfigError(
            f"{model.__name__}: the column {column.name!r} shows {column.path!r}, which the schema does not know; "
            "paths begin with a dot and use the API's names, as .status.readyReplicas"
        )
    written: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "format": column.format,
        "priority": column.priority,
        "description": column.description,
    }
    return {name: value for name, value in written.items() if value}


def _selectable(model: type[Resource], paths: Sequence[str], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    if len(paths) > SELECTABLE_MAX:
        raise ConfigError(
            f"{model.__name__}: {len(paths)} selectable fields, the API takes {SELECTABLE_MAX}; leave some out"
        )
    for path in paths:
        found = find_schema(schema, path) if _SIMPLE_PATH.fullmatch(path) else None
        if found is None or found.get("type") not in ("string", "integer", "boolean") or path.startswith(".metadata"):
            raise ConfigError(
                f"{model.__name__}: {path!r} cannot be selected by; name a string, integer or boolean field of spec "
                "or status, as .spec.color"
            )
    return [{"jsonPath": path} for path in paths]
