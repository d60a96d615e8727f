"""What an operator must be allowed to do: from what its reconcilers declare, from what was seen, and whether it may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from controllerkit.cache import CacheOptions, parts_of
from controllerkit.client import Client, KindLike
from controllerkit.controller.reconciler import Reconciler
from controllerkit.controller.result import Owns, Watch
from controllerkit.errors import ApiError, ConfigError
from controllerkit.objects import GVK, Key, Kind, kinds
from controllerkit.schema import Resource

__all__ = [
    "Missing",
    "Permission",
    "declared_permissions",
    "election_permissions",
    "grants",
    "needed_permissions",
    "policy_rules",
    "preflight",
    "require_permissions",
    "reviewing_permissions",
    "sharding_permissions",
]

_VERB_ORDER: Final = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One verb on one resource.

    Attributes:
        resource: the plural, with a subresource as ``pods/status``.
        namespace: "" is all of them, or none for what has none.
        name: "" is every object.
    """

    group: str
    resource: str
    verb: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        named = f" {self.name!r}" if self.name else ""
        return f"{self.verb} {what}{named}" + (f" in namespace {self.namespace}" if self.namespace else "")


@dataclass(frozen=True, slots=True)
class Missing:
    """A permission that this process has not; ``reason`` is the API server's, often ""."""

    permission: Permission
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.permission}" + (f" ({self.reason})" if self.reason else "")


# -- from what is declared -------------------------------------------------------------------------------------------


def declared_permissions(
    reconciler: Reconciler[Any] | type[Reconciler[Any]], known: Mapping[GVK, Kind] = kinds.BUILTIN
) -> frozenset[Permission]:
    """What the loop itself needs: reading the primary and what it owns and watches, writing status and Events.

    Writes of ``reconcile`` are not declared anywhere: `RbacTrace` sees them. Of what it owns single objects are read
    too, as of the primary: what became of a write whose answer was lost is looked up. Where it owns anything, it may
    update the primary's finalizers: owner references that block the owner's deletion ask for that
    (OwnerReferencesPermissionEnforcement).

    Args:
        known: kinds that are declared by group, version and kind alone.
    Raises:
        ConfigError: a kind is not known.
    """
    owned, watched = ({_kind_of(each, known) for each, _ in found} for found in _beside(reconciler))
    return frozenset(each for _, allowed in _declared(reconciler, owned, watched) for each in allowed)


_Beside = list[tuple[KindLike, bool]]


def _beside(reconciler: Reconciler[Any] | type[Reconciler[Any]]) -> tuple[_Beside, _Beside]:
    """The kinds that are owned and those that are watched, and whether each may be missing."""

    def kinds_of(declared: Iterable[Any]) -> _Beside:
        return [(each.kind, each.optional) if isinstance(each, Owns | Watch) else (each, False) for each in declared]

    return kinds_of(reconciler.owns), kinds_of(reconciler.watches)


def _declared(
    reconciler: Reconciler[Any] | type[Reconciler[Any]], owned: Iterable[Kind], watched: Iterable[Kind]
) -> Iterator[tuple[Kind, set[Permission]]]:
    """By the kind whose namespaces they are needed in."""
    primary = reconciler.primary_kind()
    yield primary, _allowed(primary, "get", "list", "watch")
    for kind in owned:
        yield kind, _allowed(kind, "get", "list", "watch")
    for kind in watched:
        yield kind, _allowed(kind, "list", "watch")
    if reconciler.resource is not None and "status" in reconciler.resource.model_fields:
        yield primary, _allowed(primary, "update", subresource="status")
        if reconciler.tell_failing:
            yield primary, _allowed(primary, "patch", subresource="status")
    if reconciler.owns:
        yield primary, _allowed(primary, "update", subresource="finalizers")
    yield kinds.EVENT, _allowed(kinds.EVENT, "create", "patch")


def election_permissions(namespace: str, name: str) -> frozenset[Permission]:
    """What leader election by the Lease of that name needs, and the Events that tell of it."""
    lease = kinds.LEASE
    return frozenset(
        {
            Permission(lease.group, lease.plural, "create", namespace),
            *(Permission(lease.group, lease.plural, verb, namespace, name) for verb in ("get", "update")),
            *(Permission(kinds.EVENT.group, kinds.EVENT.plural, verb, namespace) for verb in ("create", "patch")),
        }
    )


def sharding_permissions(namespace: str) -> frozenset[Permission]:
    """What the Leases of a ring of processes need; their names are those of the processes."""
    lease = kinds.LEASE
    return frozenset(
        Permission(lease.group, lease.plural, v, namespace) for v in ("list", "create", "update", "delete")
    )


def needed_permissions(needs: Iterable[tuple[Kind, str, Key]]) -> frozenset[Permission]:
    """What others say they need, as `controllerkit.webhook.WebhookServer.needs`."""
    return frozenset(Permission(kind.group, kind.plural, verb, key.namespace, key.name) for kind, verb, key in needs)


def reviewing_permissions() -> frozenset[Permission]:
    """What asking the API server about callers needs, as ``Serving(authorize=True)`` does of who reads metrics."""
    return frozenset(
        {
            Permission("authentication.k8s.io", "tokenreviews", "create"),
            Permission("authorization.k8s.io", "subjectaccessreviews", "create"),
        }
    )


def _allowed(kind: Kind, *verbs: str, subresource: str = "") -> set[Permission]:
    resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
    return {Permission(kind.group, resource, verb) for verb in verbs}


def _kind_of(kind: KindLike, known: Mapping[GVK, Kind]) -> Kind:
    if isinstance(kind, type) and issubclass(kind, Resource):
        return kind.resource_kind()
    if isinstance(kind, Kind):
        return kind
    if (found := known.get(kind)) is None:
        raise ConfigError(f"the plural of {kind} is not known here; declare it as Kind(group, version, kind, plural)")
    return found


# -- as rules --------------------------------------------------------------------------------------------------------


def policy_rules(permissions: Iterable[Permission]) -> list[dict[str, Any]]:
    """The fewest rules that allow just these, whatever their namespaces; the same permissions give the same rules."""
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for each in permissions:
        verbs.setdefault((each.group, each.name, each.resource), set()).add(each.verb)
    resources: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, name, resource), allowed in sorted(verbs.items()):
        ordered = tuple(sorted(allowed, key=lambda verb: _VERB_ORDER.index(verb) if verb in _VERB_ORDER else 99))
        resources.setdefault((group, name, ordered), []).append(resource)
    return [
        {
            "apiGroups": [group],
            "resources": named,
            **({"resourceNames": [name]} if name else {}),
            "verbs": list(allowed),
        }
        for (group, name, allowed), named in resources.items()
    ]


def grants(rules: Sequence[Mapping[str, Any]], permission: Permission) -> bool:
    """Whether RBAC rules allow it (``rbac/v1`` ``RuleAllows``), leaving the namespace aside.

    >>> rule = {"apiGroups": [""], "resources": ["pods", "*/status"], "verbs": ["get", "update"]}
    >>> grants([rule], Permission("", "pods", "get")), grants([rule], Permission("", "services/status", "update"))
    (True, True)
    >>> grants([rule], Permission("apps", "pods", "get"))
    False
    """
    return any(_grants(rule, permission) for rule in rules)


def _grants(rule: Mapping[str, Any], permission: Permission) -> bool:
    _, _, subresource = permission.resource.partition("/")
    wanted = {"*", permission.resource} | ({f"*/{subresource}"} if subresource else set())
    names = rule.get("resourceNames") or ()
    return (
        bool({"*", permission.group} & set(rule.get("apiGroups") or ()))
        and bool(wanted & set(rule.get("resources") or ()))
        and bool({"*", permission.verb} & set(rule.get("verbs") or ()))
        and (not names or permission.name in names)
    )


# -- asked before it is needed ---------------------------------------------------------------------------------------


async def preflight(client: Client, permissions: Iterable[Permission], namespaces: Sequence[str] = ()) -> list[Missing]:
    """Asks the API server for each (SelfSubjectAccessReview) and gives those it denies, in order.

    A watch that is forbidden otherwise shows as a cache that never fills. Where the server does not answer such
    questions nothing counts as missing.

    Args:
        namespaces: where a permission says nothing of a namespace it is asked in each of these; () is everywhere.
    Raises:
        TransportError: the server cannot be reached.
    """
    wanted = sorted(
        {
            replace(each, namespace=namespace)
            for each in permissions
            for namespace in ((each.namespace,) if each.namespace else namespaces or ("",))
        }
    )
    denials = await asyncio.gather(*(_denial(client, each) for each in wanted))
    return [Missing(each, denial) for each, denial in zip(wanted, denials, strict=True) if denial is not None]


async def require_permissions(
    client: Client, reconcilers: Iterable[Reconciler[Any]], caches: CacheOptions, others: Iterable[Permission] = ()
) -> None:
    """`preflight` of what reconcilers declare, in the namespaces that are cached, and of ``others``.

    Raises:
        ConfigError: something is not allowed; the message names every verb, resource and namespace.
    """
    wanted = set(others)
    for reconciler in reconcilers:
        owned, watched = [await _served(client, found) for found in _beside(reconciler)]
        for kind, permissions in _declared(reconciler, owned, watched):
            namespaces = parts_of(caches, kind)
            wanted |= {replace(each, namespace=namespace) for each in permissions for namespace in namespaces}
    if missing := await preflight(client, wanted):
        told = "; ".join(map(str, missing))
        raise ConfigError(f"this process may not {told}. Grant it: `controllerkit rbac` writes the Role that is needed")


async def _served(client: Client, declared: _Beside) -> set[Kind]:
    """The kinds, but for optional ones that are not there."""
    found: set[Kind] = set()
    for kind, optional in declared:
        try:
            found.add(await client.kind_of(kind))
        except ConfigError:
            if not optional:
                raise
    return found


async def _denial(client: Client, permission: Permission) -> str | None:
    """The reason of a denial, None where it is allowed or nobody says."""
    resource, _, subresource = permission.resource.partition("/")
    attributes = {
        "group": permission.group,
        "resource": resource,
        "subresource": subresource,
        "verb": permission.verb,
        "namespace": permission.namespace,
        "name": permission.name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {name: value for name, value in attributes.items() if value}},
    }
    try:
        answer = await client.request_json("POST", _REVIEWS, review)
    except ApiError:
        return None
    status = answer.get("status") or {}
    return None if status.get("allowed", True) else str(status.get("reason") or "")
