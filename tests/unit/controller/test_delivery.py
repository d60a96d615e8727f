"""From an informer into the queue: predicates of each kind, handlers, code that raises; where reasons are told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from controllerkit import Client, Key, Object, Owns, Reconciler, Request, Result, TerminalError, Watch, kinds
from controllerkit.controller import ChangeEvent, ControllerMetrics, on, outcome_of
from controllerkit.controller.delivery import Delivery, told_of_other, told_of_primary
from controllerkit.controller.handlers import enqueue_mapped, enqueue_self
from controllerkit.errors import ConfigError
from controllerkit.manager.debugging import show
from controllerkit.testing import VirtualClock, settle
from controllerkit.workqueue import FastSlowLimiter, WorkQueue, default_controller_limiter
from tests.unit.conftest import Website
from tests.unit.controller.looping import Lines, fine, looped
from tests.unit.controller.running import A, running, until, website

NS = "ns"


def pod(name: str = "p", rv: str = "1", **labels: str) -> Object:
    metadata = {"name": name, "namespace": NS, "resourceVersion": rv, "uid": f"uid-{name}", "labels": labels}
    return Object.from_dict({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})


class Delivered:
    """A queue, what is delivered into it, and what was logged and counted."""

    def __init__(self) -> None:
        self.queue: WorkQueue[Key] = WorkQueue(clock=VirtualClock())
        self.log = Lines()
        self.registry = CollectorRegistry()
        errors = ControllerMetrics(self.registry).of("c", 1).handler_errors
        self.delivery = Delivery(self.queue, self.log, errors)

    def keys(self) -> list[str]:
        found = []
        while (item := self.queue.get_nowait()) is not None:
            found.append(item.key.name)
            self.queue.done(item.key)
        return found

    def errors(self) -> float | None:
        return self.registry.get_sample_value("controllerkit_handler_errors_total", {"controller": "c"})


# -- code that raises ----------------------------------------------------------------------------------------------


def broken(_: object) -> bool:
    raise KeyError("no such label")


def test_a_predicate_that_raises_lets_the_change_through_and_is_told_with_the_object() -> None:
    delivered = Delivered()
    handler = delivered.delivery.handler(enqueue_self, (broken, on("create")), told_of_primary)
    handler.on_add(pod(), False)
    handler.on_delete(pod("gone"))
    assert delivered.keys() == ["p"], "the other predicate still decides"
    assert delivered.errors() == 2.0
    line = delivered.log.of("handler_failed")[0]
    assert (line["handler"], line["object"], line["change"]) == ("broken", "Pod ns/p", "create")
    assert line["error"] == "KeyError: 'no such label'"


def test_a_map_that_raises_loses_neither_what_it_gave_nor_the_other_side_of_the_update() -> None:
    def mapping(value: Object) -> Iterator[Key]:
        yield Key(NS, f"{value.labels['site']}-1")
        if value.labels["site"] == "old":
            raise ValueError("half way")
        yield Key(NS, f"{value.labels['site']}-2")

    delivered = Delivered()
    handler = delivered.delivery.handler(enqueue_mapped(mapping), (), told_of_primary)
    delivered.queue.add(Key(NS, "before"))
    handler.on_update(pod(site="old"), pod(rv="2", site="new"))
    assert delivered.keys() == ["before", "old-1", "new-1", "new-2"]
    assert [each["error"] for each in delivered.log.of("handler_failed")] == ["ValueError: half way"]
    handler.on_update(pod(site="a"), pod(rv="2"))
    assert delivered.keys() == ["a-1", "a-2"], "a new side without the label is the map's own bug"
    assert delivered.errors() == 2.0


def test_an_object_of_an_odd_shape_is_reconciled_all_the_same() -> None:
    def odd(version: int, spec: Any, labels: Any = None, *, generation: int = 1) -> Object:
        metadata = {"name": "odd", "namespace": NS, "generation": generation, "resourceVersion": str(version)}
        value = {"apiVersion": "v1", "kind": "Odd", "metadata": {**metadata, "labels": labels}, "spec": spec}
        return Object.from_dict(value)

    delivered = Delivered()
    handler = delivered.delivery.handler(enqueue_self, (), told_of_primary)
    handler.on_update(odd(1, ["a", "list"]), odd(2, {"x": 1}, generation=2))
    item = delivered.queue.get_nowait()
    assert item is not None
    assert (item.key.name, item.reasons) == ("odd", {"spec.x changed"})
    delivered.queue.done(item.key)
    handler.on_update(odd(3, {}), odd(4, {}, labels=["no", "mapping"]))
    item = delivered.queue.get_nowait()
    assert item is not None
    assert (item.key.name, item.reasons) == ("odd", {"changed"})


# -- what a class declares -----------------------------------------------------------------------------------------


@pytest.mark.parity("2.5/predicates-per-kind", "1d/predicates")
async def test_each_kind_has_predicates_of_its_own_and_all_of_several_count(websites: Client) -> None:
    def labelled(event: ChangeEvent) -> bool:
        return event.new.labels.get("watched") == "yes"

    class Choosy(Reconciler[Website]):
        name = "choosy"
        predicates = (on("delete"),)
        owns = (Owns(kinds.CONFIG_MAP, predicates=(labelled, on("create")), every_owner=True),)
        watches = (Watch(kinds.SECRET, lambda each: [Key(NS, each.name)], predicates=(labelled,)),)

        def __init__(self) -> None:
            self.seen: list[str] = []

        async def reconcile(self, request: Request) -> None:
            self.seen += request.reasons

    def of(kind: str, name: str, site: Object | None = None, **labels: str) -> dict[str, Any]:
        metadata: dict[str, Any] = {"name": name, "namespace": "default", "labels": labels}
        if site is not None:
            metadata["ownerReferences"] = [
                {"apiVersion": site.api_version, "kind": site.kind, "name": site.name, "uid": site.uid}
            ]
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata}

    choosy = Choosy()
    async with running(websites, choosy):
        site = await websites.create(website())
        await websites.create(of("Secret", "plain"))
        await websites.create(of("Secret", "labelled", watched="yes"))
        await until(lambda: "Secret labelled added" in choosy.seen, "the labelled Secret")
        await websites.create(of("ConfigMap", "plain", site))
        await websites.create(of("ConfigMap", "labelled", site, watched="yes"))
        await until(lambda: "owned ConfigMap labelled added" in choosy.seen, "the labelled ConfigMap")
        await websites.delete(kinds.CONFIG_MAP, "labelled")
        await websites.delete(Website, "a")
        await until(lambda: "deleted" in choosy.seen, "the deletion of the primary")
    assert sorted(choosy.seen) == ["Secret labelled added", "deleted", "owned ConfigMap labelled added"]


@pytest.mark.parity("2.5/handler-functions", "1d/handlers")
async def test_a_handler_of_ones_own_sees_what_has_happened_and_both_sides(websites: Client) -> None:
    def moved(event: ChangeEvent) -> Iterable[Key]:
        if event.type == "update" and event.old is not None:
            yield Key(NS, f"{event.old.labels.get('site', '')}-{event.new.labels.get('site', '')}")

    class Own(Reconciler[Website]):
        name = "own"
        watches = (Watch(kinds.SECRET, handler=moved),)

        def __init__(self) -> None:
            self.seen: list[str] = []

        async def reconcile(self, request: Request) -> None:
            self.seen.append(request.key.name)

    own = Own()
    async with running(websites, own):
        metadata = {"name": "s", "namespace": "default", "labels": {"site": "x"}}
        await websites.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
        await websites.patch(kinds.SECRET, "s", {"metadata": {"labels": {"site": "y"}}})
        await until(lambda: bool(own.seen), "the move")
    assert own.seen == ["x-y"]
    for wrong in ({}, {"map": lambda _: [], "handler": moved}):
        with pytest.raises(ConfigError, match="needs either map or handler"):
            Watch(kinds.SECRET, **wrong)  # type: ignore[arg-type]


@pytest.mark.parity("2.5/source-tombstones", "1d/deleted-keys")
async def test_a_deletion_that_the_watch_missed_is_told_by_the_next_list(websites: Client) -> None:
    loop = await looped(websites, fine)
    informer = loop.informers.get(Website.resource_kind())
    metadata = {"name": "a", "namespace": "default", "resourceVersion": "5", "uid": "u"}
    site = Object.from_dict({"apiVersion": "example.dev/v1", "kind": "Website", "metadata": metadata})
    informer._replace([site])
    await settle()
    informer._replace([])
    await settle()
    requests = loop.controller.reconciler.requests  # type: ignore[attr-defined]
    assert [(each.key, set(each.reasons)) for each in requests] == [(A, {"added"}), (A, {"deleted"})]
    await loop.stopped()


# -- back-off ------------------------------------------------------------------------------------------------------


@pytest.mark.parity("1c/retry-jitter")
async def test_keys_that_failed_together_come_back_apart_each_within_a_tenth_of_its_delay(websites: Client) -> None:
    seen: dict[str, list[float]] = {}

    async def answer(request: Request) -> Result | None:
        seen.setdefault(request.key.name, []).append(loop.clock.monotonic())
        raise OSError("the database is away")

    loop = await looped(websites, answer, max_concurrent_reconciles=8)
    for name in "abcdefgh":
        loop.queue.add(Key(NS, name))
    await loop.clock.advance(2.0)
    for delay_s, number in ((0.005, 1), (0.01, 2), (0.64, 8)):
        waits = [times[number] - times[number - 1] for times in seen.values()]
        assert all(delay_s <= wait < delay_s * 1.1 + 1e-9 for wait in waits)
        assert len({round(wait / delay_s, 6) for wait in waits}) == 8, "no two alike"
    await loop.stopped()


async def test_a_limiter_of_ones_own_decides_the_delay(websites: Client) -> None:
    async def answer(_: Request) -> Result | None:
        raise OSError("down")

    limiter = FastSlowLimiter[Key](fast_s=1.0, slow_s=60.0, fast_tries=2)
    loop = await looped(websites, answer, A, limiter=limiter)
    counts = []
    for _ in range(3):
        await loop.clock.advance(1.0)
        counts.append(loop.results()["error"])
    assert counts == [2.0, 3.0, 3.0]
    await loop.stopped()


@pytest.mark.parity("1c/limiters")
async def test_a_budget_over_all_keys_is_a_limiter_too(websites: Client) -> None:
    failed: list[float] = []

    async def answer(_: Request) -> Result | None:
        failed.append(loop.clock.monotonic())
        if len(failed) <= 150:
            raise OSError("the database is away")
        return None

    clock = VirtualClock()
    loop = await looped(websites, answer, limiter=default_controller_limiter(clock.monotonic))
    for number in range(150):
        loop.queue.add(Key(NS, f"k{number:03}"))
    await loop.clock.advance(1.0)
    assert len(failed) == 150 + 100 + 10, "a hundred at once, then ten a second"
    await loop.stopped()


@pytest.mark.parity("2.5/nil-terminal-error")
async def test_a_terminal_error_may_say_nothing_or_lead_to_its_cause(websites: Client) -> None:
    async def answer(request: Request) -> Result | None:
        if request.key == A:
            raise TerminalError
        raise TerminalError("no such version") from ValueError("4.0")

    loop = await looped(websites, answer, A, Key(NS, "b"))
    assert loop.told("terminal_reconcile_errors_total") == 2.0
    errors = {line["website"]: line for line in loop.log.of("reconcile_failed")}
    assert errors["default/a"]["error"] == "TerminalError"
    assert isinstance(errors["ns/b"]["exc_info"].__cause__, ValueError)
    outcome = outcome_of(None, TerminalError())
    assert (outcome.label, getattr(outcome, "terminal", None)) == ("error", True)
    await loop.stopped()


@pytest.mark.parity("2.5/timeout-several")
async def test_every_timeout_counts_and_another_keys_success_is_none(websites: Client) -> None:
    async def answer(request: Request) -> Result | None:
        if request.key.name != "quick":
            await loop.clock.sleep(60.0)
        return None

    loop = await looped(websites, answer, reconcile_timeout_s=5.0, max_concurrent_reconciles=3)
    for name in ("slow-1", "slow-2", "quick"):
        loop.queue.add(Key(NS, name))
    await loop.clock.advance(5.0)
    assert (loop.told("reconcile_timeouts_total"), loop.results()) == (2.0, {"error": 2.0, "success": 1.0})
    await loop.clock.advance(5.1)
    assert loop.told("reconcile_timeouts_total") == 4.0, "and the next try of each again"
    await loop.stopped()


# -- reasons, and what else a pass is told by ----------------------------------------------------------------------


@pytest.mark.parity("2.5/reconcile-id", "1d/reconcile-id")
async def test_every_line_of_a_pass_has_its_id_and_the_object(websites: Client) -> None:
    bound: list[dict[str, Any]] = []

    async def answer(_: Request) -> Result | None:
        bound.append(structlog.contextvars.get_contextvars())
        raise ValueError("no")

    loop = await looped(websites, answer, A, Key(NS, "b"))
    assert [(each["controller"], each["website"]) for each in bound] == [
        ("recording", "default/a"),
        ("recording", "ns/b"),
    ]
    assert bound[0]["reconcile_id"] != bound[1]["reconcile_id"]
    assert [line["reconcile_id"] for line in loop.log.of("reconcile_failed")] == [x["reconcile_id"] for x in bound]
    await loop.stopped()


@pytest.mark.parity("1c/reasons")
async def test_all_reasons_of_a_key_reach_the_request_the_log_the_metric_and_the_console(websites: Client) -> None:
    held, requests = asyncio.Event(), []

    async def answer(request: Request) -> Result | None:
        requests.append(request)
        await held.wait()
        raise ValueError("no")

    loop = await looped(websites, answer)
    for key in (A, Key(NS, "b")):
        loop.queue.add(key, "spec.x changed")
        loop.queue.add(key, "owned Pod web-0 deleted")
    await settle()
    both = ["owned Pod web-0 deleted", "spec.x changed"]
    assert sorted(requests[0].reasons) == both
    page = show({"recording": loop.controller}, loop.informers, None, loop.clock)["controllers"][0]
    assert [(each["key"], each["reasons"]) for each in page["in_work"]] == [("default/a", both)]
    assert {each["key"]: each["reasons"] for each in page["queue"]}["ns/b"] == both
    held.set()
    await settle()
    assert [line["reasons"] for line in loop.log.of("reconcile")] == [both, both]
    assert [line["reasons"] for line in loop.log.of("reconcile_failed")] == [both, both]
    for reason in ("changed", "deleted"):
        labels = {"controller": "recording", "reason": reason}
        assert loop.registry.get_sample_value("controllerkit_reconcile_reasons_total", labels) == 2.0
    await loop.stopped()


def test_the_reason_of_another_objects_change_names_it() -> None:
    assert told_of_other("owned ", ChangeEvent("create", pod(), None, initial=True)) == "owned Pod p listed"
    assert told_of_other("", ChangeEvent("update", pod(), pod())) == "Pod p resync"
    assert told_of_other("", ChangeEvent("update", pod(rv="2"), pod())) == "Pod p changed"
