"""The resources this server has, as data: names, scope, subresources, and how each kind differs.

Only what a table can hold is here; what needs code (defaults, validation) refers to a kind by name and lives in
``defaults.py`` and ``validation.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controllerkit.apiserver.conversion import Converter
from controllerkit.apiserver.shapes import ANY, Shape, builtin_shape

__all__ = ["BUILTIN", "Resource", "ScalePaths", "Version"]

VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
BODY_SUBRESOURCES: Final = frozenset({"status", "scale"})


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where replicas are wanted, where they are counted, and where their selector stands (text or object)."""

    spec: tuple[str, ...] = ("spec", "replicas")
    status: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One served version of a resource. ``schema`` is a custom resource's structural schema, ``ruled`` one with rules
    in CEL."""

    name: str
    shape: Shape = ANY
    schema: Mapping[str, Any] | None = None
    ruled: bool = False
    columns: tuple[Mapping[str, Any], ...] = ()
    selectable: tuple[str, ...] = ()
    status: bool = False
    scale: ScalePaths | None = None
    served: bool = True
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource: one collection in the store, served under one or more versions.

    Attributes:
        generation: writes of the spec are counted in ``metadata.generation``.
        create_on_update: PUT of a name that is not there creates it.
        unconditional_update: PUT without resourceVersion is taken.
        graceful: deletion waits for the kubelet (Pods).
        subresources: beyond status and scale, by name with their kind and verbs.
        fields: selectable fields beyond metadata.name and metadata.namespace, and where they are.
        custom: declared by a CustomResourceDefinition, whose uid this is.
        converter: the webhook that converts between its versions.
    """

    group: str
    plural: str
    kind: str
    storage_version: str
    versions: Mapping[str, Version]
    namespaced: bool = True
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    generation: bool = False
    create_on_update: bool = False
    unconditional_update: bool = True
    graceful: bool = False
    subresources: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    fields: Mapping[str, Callable[[Mapping[str, Any]], str]] = field(default_factory=dict)
    custom: str = ""
    converter: Converter | None = None
    collection: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "singular", self.singular or self.kind.lower())
        object.__setattr__(self, "list_kind", self.list_kind or f"{self.kind}List")
        name = f"{self.plural}.{self.group}" if self.group else self.plural
        object.__setattr__(self, "collection", self.collection or name)

    @property
    def qualified(self) -> str:
        """``deployments.apps``: how errors name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def api_version(self, version: str = "") -> str:
        """Of ``version``, by default the stored one."""
        version = version or self.storage_version
        return f"{self.group}/{version}" if self.group else version

    def selectable_fields(self, value: Mapping[str, Any]) -> dict[str, str]:
        """What field selectors may ask of this object, beside its name and namespace."""
        return {path: read(value) for path, read in self.fields.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def at(*path: str, default: str = "") -> Callable[[Mapping[str, Any]], str]:
    """Reads a field as text; ``default`` where it is not there."""

    def read(value: Any) -> str:
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        return _text(value) if value is not None else default

    return read


def _paths(*dotted: str, **defaults: str) -> dict[str, Callable[[Mapping[str, Any]], str]]:
    return {path: at(*path.split("."), default=defaults.get(path.split(".")[-1], "")) for path in dotted}


_REPLICAS: Final = ScalePaths(selector=("spec", "selector"))
_EVENT_FIELDS: Final = {
    **_paths(
        *(f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion")),
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "type",
    ),
    "reportingComponent": at("reportingComponent"),
    "source": lambda value: at("source", "component")(value) or at("reportingComponent")(value),
}


def _builtin(
    group: str,
    kind: str,
    plural: str,
    *,
    status: bool = False,
    scale: ScalePaths | None = None,
    version: str = "v1",
    **options: Any,
) -> Resource:
    api_version = f"{group}/{version}" if group else version
    shape = builtin_shape(api_version, kind)
    one = Version(version, shape=shape, status=status, scale=scale, warning=_DEPRECATED.get(plural, ""))
    return Resource(group, plural, kind, version, {version: one}, **options)


_DEPRECATED: Final = {"endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"}
_RBAC: Final = "rbac.authorization.k8s.io"
_CREATE: Final = ("create",)
_NO_COLLECTION: Final = tuple(verb for verb in VERBS if verb != "deletecollection")
_ALL: Final = ("all",)


def _core() -> list[Resource]:
    return [
        _builtin(
            "",
            "Namespace",
            "namespaces",
            namespaced=False,
            short_names=("ns",),
            status=True,
            verbs=_NO_COLLECTION,
            fields=_paths("status.phase"),
            subresources={"finalize": ("Namespace", ("update",))},
        ),
        _builtin(
            "",
            "Node",
            "nodes",
            namespaced=False,
            short_names=("no",),
            status=True,
            fields=_paths("spec.unschedulable", unschedulable="false"),
        ),
        _builtin(
            "",
            "Pod",
            "pods",
            short_names=("po",),
            categories=_ALL,
            status=True,
            generation=True,
            graceful=True,
            fields=_paths(
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "spec.hostNetwork",
                "status.phase",
                "status.podIP",
                "status.nominatedNodeName",
                hostNetwork="false",
            ),
            subresources={
                "log": ("Pod", ("get",)),
                "binding": ("Binding", _CREATE),
                "eviction": ("Eviction", _CREATE),
            },
        ),
    ]


def _core_others() -> list[Resource]:
    return [
        _builtin(
            "",
            "Service",
            "services",
            short_names=("svc",),
            categories=_ALL,
            status=True,
            create_on_update=True,
            fields=_paths("spec.clusterIP", "spec.type"),
        ),
        _builtin("", "Endpoints", "endpoints", short_names=("ep",), singular="endpoints", create_on_update=True),
        _builtin("", "PersistentVolume", "persistentvolumes", namespaced=False, short_names=("pv",), status=True),
        _builtin("", "PersistentVolumeClaim", "persistentvolumeclaims", short_names=("pvc",), status=True),
        _builtin("", "ConfigMap", "configmaps", short_names=("cm",)),
        _builtin("", "Secret", "secrets", fields=_paths("type")),
        _builtin(
            "",
            "ServiceAccount",
            "serviceaccounts",
            short_names=("sa",),
            subresources={"token": ("TokenRequest", _CREATE)},
        ),
        _builtin("", "Event", "events", short_names=("ev",), create_on_update=True, fields=_EVENT_FIELDS),
        _builtin("", "Binding", "bindings", verbs=_CREATE),
    ]


def _apps() -> list[Resource]:
    scaled: dict[str, Any] = {"categories": _ALL, "status": True, "generation": True, "scale": _REPLICAS}
    return [
        _builtin("apps", "Deployment", "deployments", short_names=("deploy",), **scaled),
        _builtin("apps", "StatefulSet", "statefulsets", short_names=("sts",), **scaled),
        _builtin("apps", "ReplicaSet", "replicasets", short_names=("rs",), fields=_paths("status.replicas"), **scaled),
        _builtin(
            "apps",
            "DaemonSet",
            "daemonsets",
            short_names=("ds",),
            categories=_ALL,
            status=True,
            generation=True,
        ),
        _builtin("apps", "ControllerRevision", "controllerrevisions"),
        _builtin(
            "batch",
            "Job",
            "jobs",
            categories=_ALL,
            status=True,
            generation=True,
            fields={"status.successful": at("status", "succeeded", default="0")},
        ),
        _builtin("batch", "CronJob", "cronjobs", short_names=("cj",), categories=_ALL, status=True, generation=True),
    ]


def _other() -> list[Resource]:
    return [
        _builtin("coordination.k8s.io", "Lease", "leases", create_on_update=True, unconditional_update=False),
        _builtin("discovery.k8s.io", "EndpointSlice", "endpointslices", generation=True),
        _builtin(
            "events.k8s.io",
            "Event",
            "events",
            short_names=("ev",),
            create_on_update=True,
            collection="events",
            fields=_EVENT_FIELDS,
        ),
        _builtin(
            "policy",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            short_names=("pdb",),
            status=True,
            generation=True,
            unconditional_update=False,
        ),
        _builtin("storage.k8s.io", "StorageClass", "storageclasses", namespaced=False, short_names=("sc",)),
        _builtin(_RBAC, "Role", "roles", create_on_update=True),
        _builtin(_RBAC, "RoleBinding", "rolebindings", create_on_update=True),
        _builtin(_RBAC, "ClusterRole", "clusterroles", namespaced=False, create_on_update=True),
        _builtin(_RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False, create_on_update=True),
        _builtin(
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            namespaced=False,
            short_names=("crd", "crds"),
            categories=("api-extensions",),
            status=True,
            generation=True,
            unconditional_update=False,
        ),
        *(
            _builtin(
                "admissionregistration.k8s.io",
                f"{each}WebhookConfiguration",
                f"{each.lower()}webhookconfigurations",
                namespaced=False,
                categories=("api-extensions",),
                generation=True,
            )
            for each in ("Mutating", "Validating")
        ),
        _builtin("authentication.k8s.io", "TokenReview", "tokenreviews", namespaced=False, verbs=_CREATE),
        _builtin(
            "authorization.k8s.io",
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
            namespaced=False,
            verbs=_CREATE,
        ),
    ]


BUILTIN: Final[tuple[Resource, ...]] = (*_core(), *_core_others(), *_apps(), *_other())
"""Every built-in resource, in the order discovery shows them."""
