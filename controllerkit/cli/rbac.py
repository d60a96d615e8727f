"""``controllerkit rbac``: the least Role that an operator needs, or whether a given one is enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from controllerkit.cli.run import imported, load
from controllerkit.errors import ConfigError

if TYPE_CHECKING:
    from controllerkit.controller import Permission

__all__ = ["RBAC_HELP", "rbac", "roles"]

RBAC_HELP = """Write the least Role or ClusterRole that reconcilers need.

TARGET is what `controllerkit run` takes: MODULE:NAME or FILE.py:NAME of a Reconciler. From what it declares follow the
primary (get, list, watch), what it owns and watches (list, watch), the status and Events. What reconcile writes is
declared nowhere, nor what it reads afresh or of kinds it does not declare: let a test run it after
`(trace := RbacTrace()).follow(client)`, then `trace.save(path)`, and name that file with --traced.

What the certificates of webhooks need is read from the object that --webhooks names: its Secret, and the
configurations and definitions whose caBundle it sets. --authorize-metrics adds the reviews of who reads metrics.

Without --namespace it is a ClusterRole; with it, a Role in each of the namespaces. --check names a file instead, and
fails where its Roles and ClusterRoles together do not allow all of it.

Exit status: 0 done, 1 the check failed, 2 called wrongly.

Examples:

  controllerkit rbac shop.operator:ShopReconciler

  controllerkit rbac shop.operator --namespace shop --leader-elect shop/shop-operator --traced tests/shop.rbac.json

  controllerkit rbac shop.operator --namespace shop --service-account shop/shop-operator | kubectl apply -f -

  controllerkit rbac shop.operator --traced tests/shop.rbac.json --check deploy/shop.yaml
"""

API_VERSION: Final = "rbac.authorization.k8s.io/v1"


def rbac(
    targets: Annotated[list[str], typer.Argument(metavar="TARGET...", help="whose, as MODULE:NAME")],
    name: Annotated[str | None, typer.Option(help="of the Role; else that of the first reconciler")] = None,
    namespace: Annotated[list[str] | None, typer.Option(help="a Role there; repeatable")] = None,
    leader_elect: Annotated[
        str | None, typer.Option(metavar="NAMESPACE/NAME", help="the Lease, as of controllerkit run")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="NAMESPACE/NAME", help="the ring's Leases, as of controllerkit run")
    ] = None,
    webhooks: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE:NAME", help="a WebhookServer or MadeCertificates; repeatable"),
    ] = None,
    authorize_metrics: Annotated[
        bool, typer.Option("--authorize-metrics", help="metrics are for whom the API server allows")
    ] = False,
    traced: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="what RbacTrace saved; repeatable")] = None,
    service_account: Annotated[str | None, typer.Option(metavar="NAMESPACE/NAME", help="and a binding to it")] = None,
    check: Annotated[Path | None, typer.Option(metavar="FILE", help="write nothing; fail unless it is enough")] = None,
) -> None:
    """See ``RBAC_HELP``."""
    from controllerkit.controller import (
        declared_permissions,
        election_permissions,
        needed_permissions,
        read_trace,
        reviewing_permissions,
        sharding_permissions,
    )

    reconcilers = [load(target) for target in targets]
    permissions = {each for one in reconcilers for each in declared_permissions(one)}
    for path in traced or ():
        permissions |= read_trace(path)
    elected = frozenset[Any]()
    if leader_elect is not None:
        elected |= election_permissions(*_two_names(leader_elect, "--leader-elect"))
    if shard is not None:
        elected |= sharding_permissions(_two_names(shard, "--shard")[0])
    asked = frozenset[Any]()
    for target in webhooks or ():
        asked |= needed_permissions(_needs(target))
    reviewed = reviewing_permissions() if authorize_metrics else frozenset()
    if check is not None:
        _check(check, permissions | elected | asked | reviewed)
        return
    account = _two_names(service_account, "--service-account") if service_account is not None else None
    beside = {"leases": elected, "webhooks": asked, "reviews": reviewed}
    print(_as_yaml(roles(name or reconcilers[0].name, permissions, beside, namespace or (), account)), end="")


def roles(
    name: str,
    permissions: Iterable[Permission],
    beside: Mapping[str, Iterable[Permission]],
    namespaces: Sequence[str] = (),
    account: tuple[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The Roles: one for each namespace, or one for the whole cluster.

    What is ``beside``, by what it is for, has others of its own, in the namespaces that it names.
    """
    made = [_role(name, namespace, permissions) for namespace in namespaces or ("",)]
    for purpose, needed in beside.items():
        places: dict[str, list[Permission]] = {}
        for each in sorted(needed):
            places.setdefault(each.namespace, []).append(each)
        made += [_role(f"{name}-{purpose}", namespace, those) for namespace, those in sorted(places.items())]
    return [each for role in made for each in ([role, _binding(role, *account)] if account else [role])]


def _role(name: str, namespace: str, permissions: Iterable[Permission]) -> dict[str, Any]:
    from controllerkit.controller import policy_rules

    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    kind = "Role" if namespace else "ClusterRole"
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "rules": policy_rules(permissions)}


def _binding(role: dict[str, Any], namespace: str, account: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": f"{role['kind']}Binding",
        "metadata": role["metadata"],
        "roleRef": {"apiGroup": API_VERSION.split("/")[0], "kind": role["kind"], "name": role["metadata"]["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


def _needs(target: str) -> Any:
    """What the object that ``MODULE:NAME`` names says it needs."""
    place, _, name = target.rpartition(":")
    found: Any = getattr(imported(place), name, None) if place else None
    if not hasattr(found, "needs"):
        raise ConfigError(f"--webhooks {target} is neither a WebhookServer nor a MadeCertificates; write MODULE:NAME")
    return found.needs


def _two_names(text: str, option: str) -> tuple[str, str]:
    namespace, _, name = text.partition("/")
    if not namespace or not name or "/" in name:
        raise ConfigError(f"{option} is NAMESPACE/NAME, got {text!r}")
    return namespace, name


def _check(path: Path, permissions: Iterable[Permission]) -> None:
    from controllerkit.controller import grants

    rules = _rules_of(path)
    denied = [each for each in sorted(permissions) if not grants(rules, each)]
    for each in denied:
        print(f"{path} does not allow: {each}")
    if denied:
        raise typer.Exit(1)


def _rules_of(path: Path) -> list[dict[str, Any]]:
    import yaml

    try:
        documents = [each for each in yaml.safe_load_all(path.read_text()) if isinstance(each, dict)]
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    found = [each for each in documents if each.get("kind") in ("Role", "ClusterRole")]
    if not found:
        raise ConfigError(f"{path} holds neither a Role nor a ClusterRole; name the file that does")
    return [rule for each in found for rule in each.get("rules") or ()]


def _as_yaml(documents: Sequence[dict[str, Any]]) -> str:
    import yaml

    return "---\n".join(yaml.safe_dump(each, sort_keys=False, default_flow_style=None, width=120) for each in documents)
