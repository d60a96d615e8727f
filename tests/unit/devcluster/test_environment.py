"""Commands and environments, by table."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from controllerkit.devcluster.node.environment import (
    ConfigMissing,
    PodFacts,
    Sources,
    command_of,
    environment,
    expand,
    references,
)
from controllerkit.objects import Object
from tests.unit.devcluster.pods import pod


def secret(name: str, **data: str) -> Object:
    encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    return Object.from_dict({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}, "data": encoded})


def config_map(name: str, **data: str) -> Object:
    return Object.from_dict({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": data})


SOURCES = Sources({"s": secret("s", USER="root", PASSWORD="hunter2")}, {"c": config_map("c", LEVEL="debug")})
FACTS = PodFacts(
    pod=pod(labels={"app": "web"}, annotations={"note": 'a "b"'}, nodeName="node-a", serviceAccountName="sa"),
    pod_ip="127.64.0.9",
    host_ip="127.0.0.1",
    cpus=2,
    memory_bytes=2**30,
)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("$(A)$(B)", "12"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$A ${A}", "$A ${A}"),
        ("$(A", "$(A"),
        ("$", "$"),
        ("$$", "$"),
        ("()$(A)()", "()1()"),
        ("$()", "$()"),
        ("$(NESTED)", "$(A)"),
    ],
)
def test_references_are_expanded_as_kubernetes_expands_them(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2", "NESTED": "$(A)"}) == expanded


def resolved(*env: dict[str, Any], **container: Any) -> dict[str, str]:
    return environment({"env": list(env), **container}, FACTS, SOURCES, {"PATH": "/bin", "BASE": "b"})


def from_field(path: str) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ({"name": "X", "value": "v"}, "v"),
        ({"name": "X"}, ""),
        ({"name": "X", "value": "$(BASE)/x"}, "b/x"),
        ({"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "USER"}}}, "root"),
        ({"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "LEVEL"}}}, "debug"),
        (from_field("metadata.name"), "web-0"),
        (from_field("metadata.namespace"), "default"),
        (from_field("metadata.uid"), "uid-web-0"),
        (from_field("metadata.labels['app']"), "web"),
        (from_field("metadata.annotations['note']"), 'a "b"'),
        (from_field("metadata.annotations['none']"), ""),
        (from_field("spec.nodeName"), "node-a"),
        (from_field("spec.serviceAccountName"), "sa"),
        (from_field("status.podIP"), "127.64.0.9"),
        (from_field("status.hostIP"), "127.0.0.1"),
    ],
)
def test_one_variable(entry: dict[str, Any], value: str) -> None:
    assert resolved(entry)["X"] == value


@pytest.mark.parametrize(
    ("resources", "reference", "value"),
    [
        ({"limits": {"cpu": "1500m"}}, {"resource": "limits.cpu"}, "2"),
        ({"limits": {"cpu": "1500m"}}, {"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"limits": {"memory": "64Mi"}}, {"resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({}, {"resource": "limits.memory", "divisor": "1Mi"}, "1024"),
        ({}, {"resource": "limits.cpu"}, "2"),
        ({}, {"resource": "requests.cpu"}, "0"),
    ],
)
def test_resources(resources: dict[str, Any], reference: dict[str, Any], value: str) -> None:
    entry = {"name": "X", "valueFrom": {"resourceFieldRef": reference}}
    assert resolved(entry, resources=resources)["X"] == value


def test_later_wins_over_earlier_and_env_over_env_from_over_the_image() -> None:
    values = resolved(
        {"name": "USER", "value": "me"},
        {"name": "URL", "value": "$(USER):$(PASSWORD)@$(P_LEVEL)$(LATER)"},
        {"name": "LATER", "value": "x"},
        envFrom=[{"secretRef": {"name": "s"}}, {"prefix": "P_", "configMapRef": {"name": "c"}}],
    )
    assert values["URL"] == "me:hunter2@debug$(LATER)"
    assert values["PATH"] == "/bin"


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"envFrom": [{"secretRef": {"name": "none"}}]}, 'secret "none" not found'),
        ({"envFrom": [{"configMapRef": {"name": "none"}}]}, 'configmap "none" not found'),
        (
            {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            "couldn't find key k in Secret default/s",
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k"}}}]},
            'configmap "none" not found',
        ),
        ({"env": [from_field("spec.nonsense")]}, "unsupported fieldPath: spec.nonsense"),
    ],
)
def test_what_is_missing_is_said_as_the_kubelet_says_it(container: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigMissing) as raised:
        environment(container, FACTS, SOURCES, {})
    assert str(raised.value) == message


def test_what_is_optional_may_be_missing() -> None:
    reference = {"name": "none", "key": "k", "optional": True}
    values = resolved(
        {"name": "X", "valueFrom": {"secretKeyRef": reference}},
        envFrom=[{"configMapRef": {"name": "none", "optional": True}}],
    )
    assert values == {"PATH": "/bin", "BASE": "b"}


@pytest.mark.parametrize(
    ("container", "command"),
    [
        ({}, ["/entry", "--default"]),
        ({"args": ["$(A)"]}, ["/entry", "--default", "1"]),
        ({"command": ["sh", "-c"]}, ["sh", "-c"]),
        ({"command": ["sh", "-c"], "args": ["echo $$(A) $(A) $(B)"]}, ["sh", "-c", "echo $(A) 1 $(B)"]),
    ],
)
def test_the_command(container: dict[str, Any], command: list[str]) -> None:
    assert command_of(container, ("/entry", "--default"), {"A": "1"}) == command


def test_every_name_a_pod_mentions_is_found() -> None:
    spec = {
        "initContainers": [{"envFrom": [{"secretRef": {"name": "s1"}}]}],
        "containers": [
            {
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s2", "key": "k"}}},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c1", "key": "k"}}},
                    {"name": "C", "value": "v"},
                ],
                "envFrom": [{"configMapRef": {"name": "c2"}}],
            }
        ],
        "volumes": [
            {"name": "v1", "secret": {"secretName": "s3"}},
            {"name": "v2", "configMap": {"name": "c3"}},
            {"name": "v3", "projected": {"sources": [{"secret": {"name": "s4"}}, {"configMap": {"name": "c4"}}]}},
            {"name": "v4", "emptyDir": {}},
        ],
    }
    assert references(spec) == ({"s1", "s2", "s3", "s4"}, {"c1", "c2", "c3", "c4"})
