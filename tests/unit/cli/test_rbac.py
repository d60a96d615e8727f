"""``controllerkit rbac``: the least Role, written or compared with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from controllerkit.cli.rbac import rbac
from controllerkit.controller import Permission, RbacTrace
from controllerkit.errors import ConfigError
from controllerkit.objects import Key
from controllerkit.webhook import MadeCertificates
from tests.unit.cli.test_cli import controllerkit

TARGET = "tests.unit.controller.test_permissions:Pods"
READS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
EVENTS = {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}


def written(capsys: pytest.CaptureFixture[str], **options: Any) -> list[dict[str, Any]]:
    rbac([TARGET], **options)
    return list(yaml.safe_load_all(capsys.readouterr().out))


def test_one_cluster_role_or_a_role_in_each_namespace(capsys: pytest.CaptureFixture[str]) -> None:
    [role] = written(capsys)
    assert (role["kind"], role["metadata"], role["rules"]) == ("ClusterRole", {"name": "pods"}, [READS, EVENTS])
    roles = written(capsys, namespace=["a", "b"], name="shop")
    assert [(each["kind"], each["metadata"]) for each in roles] == [
        ("Role", {"name": "shop", "namespace": "a"}),
        ("Role", {"name": "shop", "namespace": "b"}),
    ]


def test_the_lease_has_a_role_where_it_lies_and_all_are_bound(capsys: pytest.CaptureFixture[str]) -> None:
    made = written(capsys, leader_elect="ops/shop", service_account="ops/operator")
    assert [(each["kind"], each["metadata"]) for each in made] == [
        ("ClusterRole", {"name": "pods"}),
        ("ClusterRoleBinding", {"name": "pods"}),
        ("Role", {"name": "pods-leases", "namespace": "ops"}),
        ("RoleBinding", {"name": "pods-leases", "namespace": "ops"}),
    ]
    assert made[3]["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": "pods-leases",
    }
    assert made[3]["subjects"] == [{"kind": "ServiceAccount", "name": "operator", "namespace": "ops"}]


def test_a_ring_of_processes_has_leases_of_any_name(capsys: pytest.CaptureFixture[str]) -> None:
    _, role = written(capsys, shard="ops/ring")
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    assert role["rules"] == [{**lease, "verbs": ["list", "create", "update", "delete"]}]


def test_what_was_traced_joins_what_is_declared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trace = RbacTrace()
    trace.permissions = {Permission("", "pods", "delete")}
    trace.save(tmp_path / "trace.json")
    [role] = written(capsys, traced=[tmp_path / "trace.json"])
    assert role["rules"] == [{**READS, "verbs": ["get", "list", "watch", "delete"]}, EVENTS]


def test_a_role_that_is_not_enough_is_told_what_it_lacks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "role.yaml"
    path.write_text(yaml.safe_dump_all([{"kind": "ServiceAccount"}, {"kind": "Role", "rules": [READS, EVENTS]}]))
    rbac([TARGET], check=path)
    assert capsys.readouterr().out == ""
    with pytest.raises(typer.Exit) as ended:
        rbac([TARGET], leader_elect="ops/shop", check=path)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{path} does not allow: create leases.coordination.k8s.io in namespace ops",
        f"{path} does not allow: get leases.coordination.k8s.io 'shop' in namespace ops",
        f"{path} does not allow: update leases.coordination.k8s.io 'shop' in namespace ops",
    ]


WEBHOOKS = MadeCertificates(
    secret=Key("ops", "hooks-tls"), names=["hooks.ops.svc"], mutating=["shop"], definitions=["shops.example.dev"]
)


def test_webhooks_need_their_secret_and_what_they_are_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    _, told, secret = written(capsys, name="shop", webhooks=["tests.unit.cli.test_rbac:WEBHOOKS"])
    assert (told["kind"], told["metadata"]) == ("ClusterRole", {"name": "shop-webhooks"})
    both = {"verbs": ["get", "update"]}
    assert told["rules"] == [
        {
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": ["mutatingwebhookconfigurations"],
            "resourceNames": ["shop"],
            **both,
        },
        {
            "apiGroups": ["apiextensions.k8s.io"],
            "resources": ["customresourcedefinitions"],
            "resourceNames": ["shops.example.dev"],
            **both,
        },
    ]
    assert (secret["kind"], secret["metadata"]) == ("Role", {"name": "shop-webhooks", "namespace": "ops"})
    assert secret["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["hooks-tls"], **both},
    ]


def test_metrics_for_whom_the_server_allows_need_its_reviews(capsys: pytest.CaptureFixture[str]) -> None:
    _, reviews = written(capsys, name="shop", authorize_metrics=True, namespace=["a"])
    assert (reviews["kind"], reviews["metadata"]) == ("ClusterRole", {"name": "shop-reviews"})
    assert reviews["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"leader_elect": "shop"}, "--leader-elect is NAMESPACE/NAME, got 'shop'"),
        ({"webhooks": ["pyproject"]}, "is neither a WebhookServer nor a MadeCertificates; write MODULE:NAME"),
        ({"webhooks": ["tests.unit.cli.test_rbac:TARGET"]}, "is neither a WebhookServer nor a MadeCertificates"),
        ({"service_account": "a/b/c"}, "--service-account is NAMESPACE/NAME, got 'a/b/c'"),
        ({"check": Path("/none.yaml")}, "cannot read /none.yaml"),
        ({"check": Path("pyproject.toml")}, "cannot read|holds neither a Role nor a ClusterRole"),
    ],
)
def test_what_is_called_wrongly_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rbac([TARGET], **options)


def test_as_a_command_it_has_examples() -> None:
    assert "controllerkit rbac shop.operator:ShopReconciler" in controllerkit("rbac", "--help").stdout
