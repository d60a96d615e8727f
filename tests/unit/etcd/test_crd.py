"""The schema, as a server applies it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from controllerkit import testing
from controllerkit.client import Client
from controllerkit.errors import Invalid
from operators.etcd.api import EtcdCluster
from tests.unit.etcd.made import running, status_of

CRD = Path(__file__).resolve().parents[3] / "crds" / "etcdclusters.yaml"


@pytest.fixture
async def served(client: Client) -> Client:
    await client.create(yaml.safe_load(CRD.read_text()))
    await testing.served(client, EtcdCluster, timeout_s=15.0)
    return client


def made(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    kind = EtcdCluster.resource_kind()
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize("spec", [{"size": "three"}, {"size": 1.5}, {"version": 3}, {"pod": []}, {"paused": "yes"}])
async def test_a_value_of_the_wrong_type_is_refused_by_the_schema(served: Client, spec: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await served.create(made("a", spec))


@pytest.mark.parametrize(
    "spec", [{"size": 0}, {"clusterSize": -1}, {"size": 10**6}, {"size": 3, "version": "9.9.9"}, {}]
)
async def test_what_the_operator_answers_reaches_it(served: Client, spec: dict[str, Any]) -> None:
    created = await served.create(made("a", spec))
    assert created.spec == spec, "nothing is filled in"


async def test_a_negative_size_is_refused_for_the_scale_subresource(served: Client) -> None:
    with pytest.raises(Invalid, match="non-negative"):
        await served.create(made("a", {"size": -1}))


async def test_the_status_that_is_written_survives_the_schema_whole(served: Client) -> None:
    status = status_of(running())
    created = (await served.create(made("a", {"size": 3}))).to_dict()
    written = await served.update_status({**created, "status": status})
    assert written.status == status


async def test_it_can_be_scaled_like_anything_else(served: Client) -> None:
    created = (await served.create(made("a", {"size": 3}))).to_dict()
    await served.update_status({**created, "status": status_of(running())})
    path = EtcdCluster.resource_kind().path("default", "a", "scale")
    scale = await served.request_json("GET", path)
    assert (scale["spec"], scale["status"]) == (
        {"replicas": 3},
        {"replicas": 3, "selector": "app=etcd,etcd_cluster=db"},
    )
