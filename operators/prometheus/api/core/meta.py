"""References, selectors and resources of Kubernetes' own types."""

from __future__ import annotations

from controllerkit.schema import map_atomic
from operators.prometheus.api.types import AtomicList, EmptyByDefault, ListByName, Model, Quantity

__all__ = [
    "ConfigMapKeySelector",
    "LabelSelector",
    "LabelSelectorRequirement",
    "LocalObjectReference",
    "ObjectFieldSelector",
    "ObjectMeta",
    "ResourceClaim",
    "ResourceFieldSelector",
    "ResourceRequirements",
    "SecretKeySelector",
    "TypedLocalObjectReference",
    "TypedObjectReference",
]


class LocalObjectReference(Model, keywords=[map_atomic()]):
    """An object of the same namespace, by name."""

    name: EmptyByDefault = ""


class SecretKeySelector(LocalObjectReference):
    """A key of a Secret in the same namespace."""

    key: str
    optional: bool | None = None


class ConfigMapKeySelector(LocalObjectReference):
    """A key of a ConfigMap in the same namespace."""

    key: str
    optional: bool | None = None


class LabelSelectorRequirement(Model):
    """One condition on a label."""

    key: str
    operator: str
    values: AtomicList[str] | None = None


class LabelSelector(Model, keywords=[map_atomic()]):
    """Selects objects by their labels; an empty one selects all."""

    match_labels: dict[str, str] | None = None
    match_expressions: AtomicList[LabelSelectorRequirement] | None = None


class ObjectFieldSelector(Model, keywords=[map_atomic()]):
    """A field of the Pod itself."""

    api_version: str | None = None
    field_path: str


class ResourceFieldSelector(Model, keywords=[map_atomic()]):
    """A request or limit of a container."""

    container_name: str | None = None
    resource: str
    divisor: Quantity | None = None


class ResourceClaim(Model):
    """A claim of the Pod that a container uses."""

    name: str
    request: str | None = None


class ResourceRequirements(Model):
    """What a container requests and is limited to."""

    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None
    claims: ListByName[ResourceClaim] | None = None


class TypedLocalObjectReference(Model, keywords=[map_atomic()]):
    """An object of any kind in the same namespace."""

    api_group: str | None = None
    kind: str
    name: str


class TypedObjectReference(Model):
    """An object of any kind, also of another namespace."""

    api_group: str | None = None
    kind: str
    name: str
    namespace: str | None = None


class ObjectMeta(Model):
    """The metadata of an embedded object, of which the schema keeps nothing."""
