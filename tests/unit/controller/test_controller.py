"""Reconcilers on a running manager: what calls them, and what follows from their answers."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from datetime import datetime

import pytest

from controllerkit import (
    Action,
    Client,
    EventNote,
    Key,
    Manager,
    Object,
    Plan,
    PlanningReconciler,
    Reconciler,
    Request,
    Result,
    TerminalError,
    kinds,
)
from controllerkit.controller import generation_changed
from controllerkit.errors import ConfigError, ManagerError, NotFound, UndeclaredKind
from controllerkit.objects import set_controller_reference
from controllerkit.runtime import wait_until
from tests.unit.conftest import WEBSITE_CRD, Website
from tests.unit.controller.running import A, Recording, running, until, website


async def test_what_exists_at_the_start_is_reconciled_and_then_every_change_with_its_reason(websites: Client) -> None:
    await websites.create(website(x=1))
    reconciler = Recording()
    async with running(websites, reconciler):
        await until(lambda: "listed" in reconciler.reasons(), "the first listing")
        await websites.patch(Website, "a", {"spec": {"x": 2}})
        await until(lambda: "spec.x changed" in reconciler.reasons(), "the change")
        await websites.delete(Website, "a")
        await until(lambda: "deleted" in reconciler.reasons(), "the deletion")
    assert {request.key for request in reconciler.requests} == {A}


async def test_an_owned_object_that_goes_brings_its_owner_and_a_strangers_child_does_not(websites: Client) -> None:
    site = await websites.create(website())
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child", "namespace": "default"}}
    stray = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stray", "namespace": "default"}}
    set_controller_reference(site, child)
    reconciler = Recording()
    async with running(websites, reconciler):
        await websites.create(stray)
        await websites.create(child)
        await until(lambda: "owned ConfigMap child added" in reconciler.reasons(), "the child")
        await websites.delete(kinds.CONFIG_MAP, "child")
        await until(lambda: "owned ConfigMap child deleted" in reconciler.reasons(), "the deletion of the child")
    assert not any("stray" in reason for reason in reconciler.reasons())


async def test_a_watch_maps_an_object_to_the_keys_it_concerns(websites: Client) -> None:
    reconciler = Recording()
    labelled = {"name": "s", "namespace": "default", "labels": {"site": "b"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": labelled}
    async with running(websites, reconciler):
        await websites.create(secret)
        await until(lambda: Key("default", "b") in {r.key for r in reconciler.requests}, "the mapped key")
    assert "Secret s added" in reconciler.reasons()


async def test_an_error_is_retried_with_growing_back_off_and_a_success_forgets_it(websites: Client) -> None:
    failures = 4

    async def answer(request: Request) -> None:
        if len(reconciler.requests) <= failures:
            raise ValueError("not yet")

    reconciler = Recording(answer)
    async with running(websites, reconciler) as manager:
        await websites.create(website())
        await until(lambda: len(reconciler.requests) == failures + 1, "the retries")
        queue = manager._controllers["recording"].queue
        await until(lambda: queue.failures(A) == 0, "the forgetting")
    assert {f"retry {n}" for n in range(1, failures + 1)} <= reconciler.reasons()


async def test_a_terminal_error_is_not_retried_until_the_object_changes(websites: Client) -> None:
    async def answer(request: Request) -> None:
        raise TerminalError("spec.x must be a number")

    class Stubborn(Recording):
        predicates = (generation_changed,)  # being told of in the status is a change, too

    reconciler = Stubborn(answer)
    async with running(websites, reconciler):
        await websites.create(website())
        await until(lambda: len(reconciler.requests) == 1, "the first try")
        await websites.create(website("other"))
        await until(lambda: len(reconciler.requests) == 2, "the other object")
        await websites.patch(Website, "a", {"spec": {"x": 2}})
        await until(lambda: len(reconciler.requests) == 3, "the change")
    assert [request.key.name for request in reconciler.requests] == ["a", "other", "a"]


async def test_requeue_after_brings_the_key_back_with_the_reason_timer(websites: Client) -> None:
    async def answer(request: Request) -> Result | None:
        return Result(requeue_after_s=0.01) if len(reconciler.requests) < 3 else None

    reconciler = Recording(answer)
    async with running(websites, reconciler):
        await websites.create(website())
        await until(lambda: len(reconciler.requests) == 3, "two timers")
    assert reconciler.requests[1].reasons == {"timer"}


async def test_one_key_is_never_reconciled_twice_at_once_while_others_go_on(websites: Client) -> None:
    held = asyncio.Event()
    at_once: dict[Key, int] = {}
    worst: dict[Key, int] = {}

    class Busy(Recording):
        name = "busy"
        max_concurrent_reconciles = 3

    async def answer(request: Request) -> None:
        at_once[request.key] = at_once.get(request.key, 0) + 1
        worst[request.key] = max(worst.get(request.key, 0), at_once[request.key])
        if request.key == A:
            await held.wait()
        at_once[request.key] -= 1

    reconciler = Busy(answer)
    async with running(websites, reconciler):
        await websites.create(website())
        await until(lambda: at_once.get(A) == 1, "a is in work")
        await websites.patch(Website, "a", {"spec": {"x": 2}})
        await websites.create(website("b"))
        await until(lambda: worst.get(Key("default", "b")) == 1, "b is done while a is held")
        held.set()
        await until(lambda: sum(r.key == A for r in reconciler.requests) == 2, "a again, for its change")
    assert worst[A] == 1


async def test_reading_an_undeclared_kind_from_the_cache_is_an_error_that_names_the_declared(websites: Client) -> None:
    reconciler = Recording()
    async with running(websites, reconciler):
        with pytest.raises(UndeclaredKind, match=r"Pod\.v1 is not cached; declare it"):
            reconciler.list(kinds.POD)


async def test_stopping_lets_the_key_in_work_finish(websites: Client) -> None:
    entered, leave, left = asyncio.Event(), asyncio.Event(), []

    async def answer(request: Request) -> None:
        entered.set()
        await leave.wait()
        left.append(request.key)

    manager = Manager(websites, grace_period_s=5.0)
    manager.add(Recording(answer))
    stop = asyncio.Event()
    task = asyncio.create_task(manager.run(stop))
    await websites.create(website())
    await entered.wait()
    stop.set()
    await asyncio.sleep(0)
    leave.set()
    await task
    assert left == [A]


async def test_a_reconciler_that_never_ends_is_named_when_the_grace_period_is_over(websites: Client) -> None:
    entered = asyncio.Event()

    async def answer(request: Request) -> None:
        entered.set()
        await asyncio.Event().wait()

    manager = Manager(websites, grace_period_s=0.05)
    manager.add(Recording(answer))
    stop = asyncio.Event()
    task = asyncio.create_task(manager.run(stop))
    await websites.create(website())
    await entered.wait()
    stop.set()
    with pytest.raises(ManagerError, match=r"did not stop within 0\.05 s: controller recording"):
        await task


async def test_two_controllers_of_one_name_are_refused(client: Client) -> None:
    manager = Manager(client)
    manager.add(Recording())
    with pytest.raises(ConfigError, match="two controllers are named 'recording'"):
        manager.add(Recording())


async def test_a_kind_the_server_does_not_serve_leaves_the_cache_unsynced_and_says_so(client: Client) -> None:
    manager = Manager(client, metrics_address="127.0.0.1:0")
    manager.add(Recording())
    task = asyncio.create_task(manager.run(asyncio.Event()))
    await until(lambda: any(i.failures for i in manager.informers), "a failed list")
    assert manager.checks_ready["caches"]() is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parity("2.5/owns-without-for", "2.5/no-watches")
def test_a_reconciler_without_a_kind_says_what_to_write() -> None:
    class Nameless(Reconciler[Object]):
        async def reconcile(self, request: Request) -> None: ...

    with pytest.raises(ConfigError, match=r"write class Nameless\(Reconciler\[YourResource\]\)"):
        Nameless.primary_kind()


# -- PlanningReconciler --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CreateChild(Action):
    child: str


class Planner(PlanningReconciler[Website, Website, CreateChild]):
    owns = (kinds.CONFIG_MAP,)

    def __init__(self) -> None:
        super().__init__()
        self.log_of_steps: list[str] = []

    async def observe(self, request: Request) -> Website | None:
        return await self.get(request.key)

    def analyze(self, observed: Website, now: datetime) -> Plan[CreateChild]:
        if self.owned(observed, kinds.CONFIG_MAP):
            return Plan(status={"phase": "Running"})
        return Plan(
            actions=(CreateChild("child", why="there is none"),),
            status={"phase": "Creating", "plan": "create child"},
            events=(EventNote("Normal", "Creating", "making the child"),),
        )

    async def act(self, observed: Website, action: CreateChild) -> None:
        status = (await self.client.get(Website, observed.key)).status
        self.log_of_steps.append(f"{action} with status {status['plan']!r}")
        child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": action.child, "namespace": "default"}}
        set_controller_reference(observed.source, child)
        await self.client.apply(child)


async def test_a_plan_writes_what_it_is_about_to_do_before_it_does_it(websites: Client) -> None:
    planner = Planner()
    async with running(websites, planner):
        await websites.create(website())

        async def phase() -> bool:
            return (await websites.get(Website, "a")).status.get("phase") == "Running"

        await wait_until(phase, what="phase Running", timeout_s=10.0)

        async def event() -> bool:
            found = await websites.list(kinds.EVENT, "default")
            return any(e.get("regarding", "name") == "a" and e.get("reason") == "Creating" for e in found.items)

        await wait_until(event, what="the Event", timeout_s=10.0)
    assert set(planner.log_of_steps) == {"CreateChild(child=child): there is none with status 'create child'"}


async def test_a_plan_for_an_object_that_is_gone_does_nothing(websites: Client) -> None:
    planner = Planner()
    async with running(websites, planner):
        assert await planner.reconcile(Request(Key("default", "nobody"))) is None
    with pytest.raises(NotFound):
        await websites.get(kinds.CONFIG_MAP, "child")


class Stepwise(PlanningReconciler[Website, Website, CreateChild]):
    """As many actions as the spec says, and none of them done."""

    plan_field = "plan"

    async def observe(self, request: Request) -> Website | None:
        return await self.get(request.key)

    def analyze(self, observed: Website, now: datetime) -> Plan[CreateChild]:
        children = observed.spec["children"]
        events = () if children else (EventNote("Normal", "Done", "there is nothing left to plan"),)
        return Plan(actions=tuple(CreateChild(f"c{n}", why="wanted") for n in range(children)), events=events)

    async def act(self, observed: Website, action: CreateChild) -> None:
        return None


@pytest.mark.parity("1d/plan")
async def test_each_plan_is_told_by_one_event_and_in_the_status_where_it_has_a_place(websites: Client) -> None:
    stepwise = Stepwise()
    async with running(websites, stepwise) as manager:
        await websites.create(website(children=2))

        async def plan() -> object:
            return (await websites.get(Website, "a")).status.get("plan")

        async def is_two() -> bool:
            return await plan() == ["CreateChild(child=c0): wanted", "CreateChild(child=c1): wanted"]

        await wait_until(is_two, what="the plan in the status", timeout_s=10.0)
        passes = manager.registry.get_sample_value
        labels = {"controller": "stepwise", "result": "success"}
        before = passes("controller_runtime_reconcile_total", labels) or 0.0
        await websites.patch(Website, "a", {"metadata": {"labels": {"again": "yes"}}})
        await until(lambda: (passes("controller_runtime_reconcile_total", labels) or 0.0) > before, "another pass")
        await websites.patch(Website, "a", {"spec": {"children": 0}})

        async def is_gone() -> bool:
            return await plan() is None

        await wait_until(is_gone, what="the plan is done", timeout_s=10.0)
        await websites.patch(Website, "a", {"spec": {"children": 1}})

        async def notes() -> list[str]:
            found = (await websites.list(kinds.EVENT, "default")).items
            return [each.get("note") for each in found if each.get("reason") == "Planned"]

        async def both() -> bool:
            return len(await notes()) == 2

        await wait_until(both, what="an Event for each plan", timeout_s=10.0)
        assert sorted(await notes()) == [
            "CreateChild(child=c0): wanted",
            "CreateChild(child=c0): wanted; CreateChild(child=c1): wanted",
        ]


async def test_many_plans_leave_room_for_other_events_of_the_object(websites: Client) -> None:
    async with running(websites, Stepwise()):
        await websites.create(website(children=30))
        for left in range(29, -1, -1):

            async def planned(left: int = left) -> bool:
                return len((await websites.get(Website, "a")).status.get("plan") or ()) == left + 1

            await wait_until(planned, what=f"the plan of {left + 1}", timeout_s=10.0, interval_s=0.005)
            await websites.patch(Website, "a", {"spec": {"children": left}})

        async def done() -> bool:
            found = (await websites.list(kinds.EVENT, "default")).items
            return any(each.get("reason") == "Done" for each in found)

        await wait_until(done, what="the Event after 30 plans", timeout_s=10.0)


async def test_a_status_without_a_place_for_the_plan_is_an_error_that_says_so(client: Client) -> None:
    crd = copy.deepcopy(WEBSITE_CRD)
    status = {"type": "object", "properties": {"phase": {"type": "string"}}}
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"] = status  # type: ignore[index]
    await client.create(crd)

    async def served() -> bool:
        return any(each.kind == "Website" for each in await client.mapper.resources("example.dev", "v1"))

    await wait_until(served, what="the CRD is served", timeout_s=5.0, interval_s=0.01)
    async with running(client, Stepwise()) as manager:
        await client.create(website(children=1))
        failing = manager._controllers["stepwise"].failing
        await until(lambda: A in failing(), "the error")
        assert "Website has no field status.plan, so the server dropped the plan: declare it" in failing()[A].error
