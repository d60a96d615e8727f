"""Desired children: no write where nothing differs, order by readiness, pruning."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllerkit.client import Client
from controllerkit.controller import (
    AppliedMemory,
    Children,
    Failing,
    FailureLedger,
    Reconciler,
    Request,
    covers,
    waits_for,
)
from controllerkit.objects import Key, Object, kinds
from controllerkit.runtime import wait_until
from tests.unit.conftest import Website
from tests.unit.controller.running import running, until, website
from tests.unit.controller.test_writing import Counting

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_everything_covers_itself(value: Any) -> None:
    assert covers(value, value)


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.sampled_from("abc"), JSON)
def test_what_others_add_does_not_matter_and_what_they_change_does(
    desired: dict[str, Any], name: str, other: Any
) -> None:
    assert covers({**desired, "added": other}, desired)
    if name in desired and not covers(other, desired[name]):
        assert not covers({**desired, name: other}, desired)


@pytest.mark.parametrize(("actual", "desired"), [(True, 1), (1, True), ([1, 2], [1]), (None, {}), ({"a": 1}, [])])
def test_what_is_alike_is_not_the_same(actual: Any, desired: Any) -> None:
    assert not covers(actual, desired)


def child(rv: str = "1", uid: str = "u", **data: str) -> Object:
    metadata = {"name": "c", "namespace": "n", "resourceVersion": rv, "uid": uid}
    return Object.from_dict({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


DESIRED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": {"x": "1"}}


def test_a_write_is_needless_only_over_what_this_process_made_of_the_same_text() -> None:
    memory = AppliedMemory()
    assert not memory.needless(DESIRED, child(x="1")), "nothing was applied by this process"
    memory.applied(DESIRED, child(x="1"))
    assert memory.needless(DESIRED, child(x="1"))
    assert memory.needless(DESIRED, child(rv="2", x="1", y="theirs")), "others may add"
    assert not memory.needless(DESIRED, child(rv="2", x="theirs")), "and not change"
    assert not memory.needless(DESIRED, child(uid="v", x="1")), "another object of that name"
    assert not memory.needless({**DESIRED, "data": {}}, child(x="1")), "a field was dropped"
    memory.gone(child())
    assert len(memory) == 0


# -- readiness -----------------------------------------------------------------------------------------------------


SEEN = {"observedGeneration": 1}
ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}


def of(kind: str, api: str = "v1", *, generation: int = 1, spec: Any = None, **status: Any) -> Object:
    metadata = {"name": "x", "generation": generation}
    return Object.from_dict(
        {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec or {}, "status": status}
    )


def condition(kind: str, status: str = "True") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": "Because", "message": "of x"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (of("ConfigMap"), None),
        (of("Pod", phase="Running", conditions=[condition("Ready")]), None),
        (of("Pod", phase="Running", conditions=[condition("Ready", "False")]), "its containers are not ready"),
        (of("Pod", phase="Succeeded"), None),
        (of("PersistentVolumeClaim", phase="Bound"), None),
        (of("PersistentVolumeClaim", phase="Pending"), "phase is Pending"),
        (of("Service", spec={"type": "LoadBalancer"}), "the load balancer has no address"),
        (of("Service", spec={"type": "LoadBalancer"}, loadBalancer={"ingress": [{"ip": "1.2.3.4"}]}), None),
        (of("Deployment", "apps/v1"), "0 of 1 replicas updated"),
        (of("Deployment", "apps/v1", generation=2, observedGeneration=1), "generation 2 is not observed yet"),
        (
            of("Deployment", "apps/v1", spec={"replicas": 2}, **SEEN, updatedReplicas=2, availableReplicas=1),
            "1 of 2 replicas available",
        ),
        (
            of("Deployment", "apps/v1", **SEEN, replicas=2, updatedReplicas=1, availableReplicas=1),
            "1 old replicas are still there",
        ),
        (of("Deployment", "apps/v1", **SEEN, replicas=1, updatedReplicas=1, availableReplicas=1), None),
        (of("StatefulSet", "apps/v1", **SEEN, readyReplicas=1), "0 of 1 replicas updated"),
        (of("StatefulSet", "apps/v1", **SEEN, readyReplicas=1, updatedReplicas=1), None),
        (of("StatefulSet", "apps/v1", spec=ON_DELETE, **SEEN, readyReplicas=1), None),
        (of("DaemonSet", "apps/v1"), "it is not observed yet"),
        (
            of("DaemonSet", "apps/v1", **SEEN, desiredNumberScheduled=1, updatedNumberScheduled=1),
            "0 of 1 Pods available",
        ),
        (of("Job", "batch/v1"), "it is not complete"),
        (of("Job", "batch/v1", conditions=[condition("Failed")]), "it failed: Because"),
        (of("Job", "batch/v1", conditions=[condition("Complete")]), None),
        (of("Website", "example.dev/v1", conditions=[condition("Ready", "False")]), "Ready is False: Because of x"),
        (of("Website", "example.dev/v1", conditions=[condition("Ready")]), None),
    ],
)  # fmt: skip
def test_readiness_by_the_conventions_of_each_kind(value: Object, told: str | None) -> None:
    assert waits_for(value) == told


# -- a reconciler with children ------------------------------------------------------------------------------------


class Gardener(Reconciler[Website]):
    """Makes ConfigMaps as the spec lists them, and a Pod before the last of them."""

    name = "gardener"
    owns = (kinds.CONFIG_MAP, kinds.POD)

    def __init__(self) -> None:
        self.passes: list[Children] = []

    async def reconcile(self, request: Request) -> None:
        site = await self.get(request.key)
        if site is None:
            return
        first = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": each}} for each in site.spec["maps"]]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "gate"},
            "spec": {"containers": [{"name": "c", "image": "x"}]},
        }
        last = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "last"}, "data": {"n": "1"}}
        done = await self.apply_in_order(site, [[*first, pod], [last]], prune=[kinds.CONFIG_MAP])
        self.passes.append(done)


@pytest.mark.parity("1d/dependents")
async def test_children_are_made_in_order_of_readiness_left_alone_when_right_and_pruned(websites: Client) -> None:
    gardener = Gardener()
    counting = Counting()
    async with running(websites, gardener):
        await websites.create(website(maps=["one", "two"]))
        await until(lambda: any("Pod gate" in each.waiting for each in gardener.passes), "waiting for the Pod")
        assert gardener.passes[-1].message == "Pod gate: phase is Pending"
        assert {each.name for each in (await websites.list(kinds.CONFIG_MAP, "default")).items} == {"one", "two"}

        ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        await websites.patch(kinds.POD, Key("default", "gate"), ready, subresource="status")
        await until(lambda: gardener.passes[-1].ready, "everything is ready")
        maps = (await websites.list(kinds.CONFIG_MAP, "default")).items
        assert {each.name for each in maps} == {"one", "two", "last"}
        assert all(each.owner_references[0].name == "a" for each in maps)

        await until(lambda: not gardener.passes[-1].pruned and len(gardener.passes) > 3, "it is quiet")
        websites.hooks.append(counting)
        before = len(gardener.passes)
        await websites.patch(Website, "a", {"metadata": {"labels": {"touched": "yes"}}})
        await until(lambda: len(gardener.passes) > before, "another pass")
        assert counting.writes == ["patch Website a"], "nothing differs, so nothing is written"

        await websites.patch(Website, "a", {"spec": {"maps": ["two"]}})
        await until(lambda: any(each.pruned for each in gardener.passes), "the pruning")
        await websites.patch(kinds.CONFIG_MAP, Key("default", "last"), {"data": {"n": "theirs"}})

        async def healed() -> bool:
            return (await websites.get(kinds.CONFIG_MAP, Key("default", "last"))).get("data", "n") == "1"

        await wait_until(healed, what="the field is ours again", timeout_s=10.0, interval_s=0.005)
    assert {each.name for each in (await websites.list(kinds.CONFIG_MAP, "default")).items} == {"two", "last"}


# -- failing keys --------------------------------------------------------------------------------------------------


def test_a_key_that_keeps_failing_is_told_once_and_its_recovery_once() -> None:
    ledger, key = FailureLedger(tell_after=3), Key("n", "a")
    assert [ledger.failed(key, "E", now) for now in (1.0, 2.0, 3.0, 4.0)] == [False, False, True, False]
    assert ledger.snapshot() == {key: Failing("E", 4, 1.0, told=True)}
    assert (ledger.succeeded(key), ledger.succeeded(key)) == (True, False)
    assert ledger.failed(key, "E", 9.0, final=True), "a terminal error is told at once"
    ledger.untold(key)
    assert ledger.failed(key, "E", 10.0, final=True), "a telling that failed is tried again"
    assert (ledger.failed(Key("n", "b"), "E", 1.0), ledger.succeeded(Key("n", "b"))) == (False, False)
