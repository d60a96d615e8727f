"""The manager: starts what an operator is made of in order, stops it in reverse."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import uuid
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Gauge

from controllerkit.cache import CacheOptions, Informers
from controllerkit.client import Client
from controllerkit.controller import (
    Controller,
    ControllerMetrics,
    Permission,
    PlanningReconciler,
    Preview,
    Reconciler,
    Rehearsal,
    election_permissions,
    needed_permissions,
    require_permissions,
    reviewing_permissions,
    sharding_permissions,
)
from controllerkit.election import ElectionOptions, LeaderElector, Shards
from controllerkit.errors import ConfigError, ManagerError
from controllerkit.events import EventRecorder
from controllerkit.manager import debugging
from controllerkit.manager.authz import Authorizer
from controllerkit.manager.groups import Runnable, RunnableGroup
from controllerkit.manager.metrics import InformerMetrics
from controllerkit.manager.serving import Check, Debugging, Endpoints
from controllerkit.objects import Key
from controllerkit.runtime import Clock, LoopWatch, SystemClock, get_logger
from controllerkit.wire import CertWatcher
from controllerkit.wire.recording import Recorder, RecordingTransport, RecordOptions
from controllerkit.workqueue import WorkQueueMetrics

if TYPE_CHECKING:
    from controllerkit.webhook import WebhookServer  # which needs an extra

__all__ = ["LeaderElection", "Manager", "Serving", "Sharding"]

GRACE_PERIOD_S: Final = 30.0
"""controller-runtime ``GracefulShutdownTimeout``."""

SYNC_TIMEOUT_S: Final = 120.0
READY_STALENESS_S: Final = 300.0
"""A server sends a bookmark about once a minute: a cache that heard nothing for five is not to be trusted."""

_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderElection:
    """Only one of the processes with this name acts; the others wait with warm caches.

    Attributes:
        name: of the Lease; one for each operator.
        namespace: of the Lease; "" is the Pod's own.
        identity: unique; "" makes one of the host's name and a random part.
    """

    name: str
    namespace: str = ""
    identity: str = ""
    options: ElectionOptions = field(default_factory=ElectionOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharding:
    """All processes with this name act, each on its share of the keys; see `controllerkit.election.ring`.

    Attributes:
        name: of the ring; one for each operator.
        namespace: of the Leases, one for each process; "" is the Pod's own.
        identity: the name of this process's Lease; "" makes one of the ring's, the host's, and a random part.
    """

    name: str
    namespace: str = ""
    identity: str = ""
    options: ElectionOptions = field(default_factory=ElectionOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How the endpoints are served.

    Attributes:
        address: ``host:port``, ``:port`` for every address, port 0 for any.
        certificate, key: PEM files for TLS; they are read again when they change.
        authorize: metrics and the debug page need a token that the API server knows and lets ``get`` the path.
        debug: serve ``/debug``; where it is not authorized, on a loopback address only.
    """

    address: str
    certificate: Path | None = None
    key: Path | None = None
    authorize: bool = False
    debug: bool = False


class LeadershipLost(ManagerError):
    """The lease could not be renewed, so this process must not act any more."""


class Manager:
    """Runs controllers over one client.

    Starts: HTTP endpoints → webhooks → caches (and waits for them) → runnables → warm-up of controllers → leader
    election → controllers and runnables that need the leader. Stops: runnables and controllers, which finish the keys
    in work, then caches, webhooks, the lease, event recorders, endpoints – within ``grace_period_s`` together.
    Everything is this manager's own: metrics registry, caches, clock; two managers can live in one process.

    With ``leader_election`` no write of a controller leaves unless the lease is held, and losing it ends the manager
    at once, without grace. With ``sharding`` every process is at work, each on its share of the keys; a reconciler
    with ``needs_leader = False`` is not shared out and works on all of them in every process. A key that moves is
    reconciled where it moved to, with the reason ``shard moved``.

    Args:
        caches: what of the cluster is cached.
        namespace: short for ``caches=CacheOptions(namespaces=(namespace,))``.
        metrics_address: short for ``serving=Serving(address=…)``; None to serve nothing.
        webhooks: served by every process, leader or not, from before the caches are filled, as the API server may
            convert what they list by them.
        grace_period_s: negative waits for ever, 0 not at all.
        ready_staleness_s: ``readyz`` fails once a cache has heard nothing from its server for so long.
        preflight: ask at the start whether this process may do what its reconcilers declare, and end at once, naming
            each verb, resource and namespace, where it may not.
        check_writes: judge by schema and rules what this manager's client creates, updates or applies before it is
            sent: each `Resource`, and objects of the primaries in whatever form, their status too. What would be
            refused raises `Invalid` and is not sent. It costs a walk over each object, and needs the extra ``cel``
            where there are rules.
        watch_loop: a thread tells of a blocked event loop; see `LoopWatch`.
        record: what the reconcilers see of the cluster and ask of it is written to a file while it runs, to be
            replayed against other code; see `RecordOptions`.
        dry_run: for `plan` in place of `run`: nothing is written, there is neither an election nor an endpoint.
    Raises:
        ConfigError: election without a name, or without a namespace outside a Pod; both ``caches`` and ``namespace``;
            both ``record`` and ``dry_run``.
    """

    def __init__(
        self,
        client: Client,
        *,
        caches: CacheOptions | None = None,
        namespace: str | None = None,
        metrics_address: str | None = None,
        serving: Serving | None = None,
        leader_election: LeaderElection | None = None,
        sharding: Sharding | None = None,
        webhooks: WebhookServer | None = None,
        grace_period_s: float = GRACE_PERIOD_S,
        ready_staleness_s: float = READY_STALENESS_S,
        preflight: bool = False,
        record: RecordOptions | None = None,
        dry_run: bool = False,
        check_writes: bool = False,
        watch_loop: bool = True,
        clock: Clock | None = None,
        rng: Random | None = None,
        log: Any = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self._rng = rng or Random()
        self.log = log or get_logger()
        if record is not None and dry_run:
            raise ConfigError("a dry run is not recorded: say either record=… or dry_run=True")
        self._recorder = Recorder(record, clock=self.clock, log=self.log) if record is not None else None
        if self._recorder is not None:
            client = client.over(partial(RecordingTransport, recorder=self._recorder))
        self._rehearsal = Rehearsal() if dry_run else None
        if self._rehearsal is not None:
            client, leader_election, sharding = self._rehearsal.client(client), None, None
            serving, metrics_address = None, None
        if check_writes:
            client.check_writes = dict(client.check_writes or {})  # before there are twins, which share it
        self.client = client
        self.registry = CollectorRegistry()
        if namespace is not None and caches is not None:
            raise ConfigError("say either caches=CacheOptions(namespaces=…) or namespace=…")
        caches = caches or CacheOptions(namespaces=() if namespace is None else (namespace,))
        self._caches, self._preflight = caches, preflight
        self.informers = Informers(client, options=caches, clock=self.clock, rng=self._rng, log=self.log)
        self.checks_live: dict[str, Check] = {"ping": lambda: None}
        self.checks_ready: dict[str, Check] = {"caches": self._caches_problem}
        self.ready = asyncio.Event()
        self._grace_period_s = grace_period_s
        self._ready_staleness_s = ready_staleness_s
        self._controller_metrics = ControllerMetrics(self.registry)
        self._queue_metrics = WorkQueueMetrics(self.registry)
        self._controllers: dict[str, Controller] = {}
        self._failures: list[ManagerError] = []
        self._failed = asyncio.Event()
        self._loop_watch = LoopWatch(log=self.log)
        self._watch_loop = watch_loop
        self._ungated = client
        if leader_election is not None and sharding is not None:
            raise ConfigError("say either leader_election=… (one process acts) or sharding=… (all do, on their share)")
        self._elector = self._make_elector(leader_election) if leader_election is not None else None
        self._shards = self._make_shards(sharding) if sharding is not None else None
        if serving is None and metrics_address:
            serving = Serving(address=metrics_address)
        self._certs = self._make_certs(serving) if serving is not None and serving.certificate is not None else None
        self._endpoints = self._make_endpoints(serving) if serving is not None else None
        self._authorizes = serving is not None and serving.authorize
        self._recorders, self._others, self._leading = (
            RunnableGroup(name, self._fail, self.log) for name in ("recorders", "runnables", "leader's runnables")
        )
        self._webhooks = webhooks
        self._informer_metrics = InformerMetrics(self.registry, self.informers, self.clock)
        self._started = False

    # -- what it is made of ----------------------------------------------------------------------------------------

    def _make_elector(self, settings: LeaderElection) -> LeaderElector:
        master = Gauge("leader_election_master_status", "Whether this process leads", ["name"], registry=self.registry)
        master.labels(settings.name).set(0)

        def started() -> None:
            master.labels(settings.name).set(1)
            if elector.lease is not None:
                note = f"{elector.identity} became leader"
                self._election_recorder.record(elector.lease, "Normal", "LeaderElection", note, action="Elect")

        elector = LeaderElector(
            self._ungated,
            name=settings.name,
            namespace=settings.namespace or _own_namespace("leader election", "LeaderElection"),
            identity=settings.identity or f"{socket.gethostname()}_{uuid.uuid4()}",
            options=settings.options,
            clock=self.clock,
            rng=self._rng,
            on_started_leading=started,
            on_stopped_leading=lambda: master.labels(settings.name).set(0),
            log=self.log,
        )
        self.client.hooks.insert(0, elector.gate)
        self._ungated = self.client.without(elector.gate)
        elector.client = self._ungated
        self._election_recorder = self._make_recorder(settings.name)
        return elector

    def _make_shards(self, settings: Sharding) -> Shards:
        shards = Shards(
            self._ungated,
            name=settings.name,
            namespace=settings.namespace or _own_namespace("sharding", "Sharding"),
            identity=settings.identity,
            options=settings.options,
            clock=self.clock,
            log=self.log,
        )
        self.client.hooks.insert(0, shards.gate)
        self._ungated = self.client.without(shards.gate)
        shards.client = self._ungated
        return shards

    def _make_certs(self, serving: Serving) -> CertWatcher:
        if serving.certificate is None or serving.key is None:
            raise ConfigError("TLS needs both a certificate and a key file")
        return CertWatcher(serving.certificate, serving.key, clock=self.clock, registry=self.registry, log=self.log)

    def _make_endpoints(self, serving: Serving) -> Endpoints:
        lag = Gauge("controllerkit_event_loop_lag_seconds", "How late the event loop was last", registry=self.registry)
        lag.set_function(lambda: self._loop_watch.lag_s)
        blocked = Gauge("controllerkit_event_loop_blocked", "How often it was stuck", registry=self.registry)
        blocked.set_function(lambda: self._loop_watch.incidents)
        judge = Authorizer(self.client, self.clock).judge if serving.authorize else None
        debug = None
        if serving.debug:
            debug = Debugging(
                lambda: debugging.show(self._controllers, self.informers, self._elector, self.clock, self._shards),
                lambda wanted: debugging.act(self._controllers, wanted),
            )
        return Endpoints(
            serving.address,
            self.registry,
            self.checks_live,
            self.checks_ready,
            tls=self._certs.context if self._certs is not None else None,
            judge=judge,
            debugging=debug,
            loop_watch=self._loop_watch,
        )

    def _make_recorder(self, controller: str) -> EventRecorder:
        return EventRecorder(self._ungated, controller=controller, clock=self.clock, rng=self._rng, log=self.log)

    @property
    def endpoints(self) -> Endpoints | None:
        """The HTTP endpoints, for their port."""
        return self._endpoints

    @property
    def shards(self) -> Shards | None:
        """This process's place in the ring, where there is one."""
        return self._shards

    @property
    def elector(self) -> LeaderElector | None:
        """The election, where there is one."""
        return self._elector

    def add(self, reconciler: Reconciler[Any]) -> Controller:
        """Registers a reconciler, before the start.

        Raises:
            ConfigError: its name is taken, or the manager runs already.
        """
        self._refuse_if_started(f"controller {reconciler.name!r}")
        if reconciler.name in self._controllers:
            raise ConfigError(f"two controllers are named {reconciler.name!r}; set `name` on one of the classes")
        client = self.client if reconciler.needs_leader else self._ungated
        if client.check_writes is not None and reconciler.resource is not None:
            client.check_writes[reconciler.primary_kind().gvk] = reconciler.resource
        if self._rehearsal is not None:
            recorder = self._rehearsal.recorder(client, controller=reconciler.name, clock=self.clock)
        else:
            recorder = self._make_recorder(reconciler.name)
        reconciler.bind(
            client=client,
            clock=self.clock,
            log=self.log.bind(controller=reconciler.name),
            recorder=recorder,
            informers=self.informers,
            rehearsal=self._rehearsal,
        )
        controller = Controller(
            reconciler,
            self.informers,
            clock=self.clock,
            log=self.log,
            metrics=self._controller_metrics,
            queue_metrics=self._queue_metrics,
            rng=self._rng,
            shards=self._shards if reconciler.needs_leader else None,
            on_pass=self._note_pass if self._recorder is not None else None,
        )
        self._controllers[reconciler.name] = controller
        self._recorders.add(f"events of {reconciler.name}", recorder.run)
        if isinstance(reconciler, PlanningReconciler) and reconciler.plan_events and self._rehearsal is None:
            reconciler.plan_recorder = self._make_recorder(reconciler.name)
            self._recorders.add(f"plans of {reconciler.name}", reconciler.plan_recorder.run)
        group = self._leading if reconciler.needs_leader else self._others
        group.add(f"controller {reconciler.name}", controller.run)
        return controller

    def add_runnable(self, name: str, runnable: Runnable, *, needs_leader: bool = False) -> None:
        """Registers a coroutine function that runs beside the controllers until it is cancelled.

        The ``run`` of another manager is one: so one process serves several clusters, which start and stop together.

        Raises:
            ConfigError: the name is taken, or the manager stops; or it needs a leader, and with sharding there is none.
        """
        if needs_leader and self._shards is not None:
            raise ConfigError(f"{name} needs a leader, and with sharding there is none; make it a reconciler's work")
        (self._leading if needs_leader else self._others).add(name, runnable)

    # -- running ---------------------------------------------------------------------------------------------------

    async def plan(self) -> tuple[Preview, ...]:
        """Passes every primary once through its reconciler, writes nothing, and says what each pass would have done.

        The server judges every write as a dry run; actions of a `PlanningReconciler` are not begun.

        Raises:
            ConfigError: the manager is not made with ``dry_run``, or ran before; a declared kind is not served.
            ControllerkitError: the caches could not be filled, or what is there not be read.
        """
        if self._rehearsal is None:
            raise ConfigError("plan() is for a dry run: Manager(client, dry_run=True)")
        self._refuse_if_started("a plan")
        self._started = True
        try:
            for controller in self._controllers.values():
                await controller.declare()
            self.informers.start()
            await self.informers.wait_synced(timeout_s=SYNC_TIMEOUT_S)
            return tuple([each for one in self._controllers.values() for each in await one.rehearse()])
        finally:
            for controller in self._controllers.values():
                await controller.close()
            await self.informers.stop()

    async def run_until_signal(self) -> None:
        """``run`` until SIGTERM or SIGINT; a second signal ends the process at once with status 1."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            if stop.is_set():
                self.log.error("stopped_at_once", cure="wait for the grace period")
                os._exit(1)  # leaving by an exception would wait for the very tasks that do not end
            self.log.info("stopping", grace_period_s=self._grace_period_s)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        try:
            await self.run(stop)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Starts everything, runs until ``stop`` is set or the task is cancelled, stops everything.

        Raises:
            ManagerError: a part failed, or did not stop within the grace period; the message names each.
            ConfigError: a declared kind is not served, an address cannot be bound.
        """
        if self._rehearsal is not None:
            raise ConfigError("a manager made with dry_run writes nothing, so it does not run: await manager.plan()")
        self._refuse_if_started("a second run")
        self._started = True
        stop = stop or asyncio.Event()
        if self._recorder is not None:
            self._recorder.start(
                {name: str(each.reconciler.primary_kind()) for name, each in self._controllers.items()},
                sharded=self._shards is not None,
                namespaces=self._caches.namespaces,
                namespace=self.client.namespace,
            )
        try:
            await self._until(stop, self._run_parts(stop))
        finally:
            self.ready.clear()
            self._note_stopping()
            try:
                await self._stop()
            finally:
                if self._recorder is not None:
                    await self._recorder.close()
        if self._failures:
            raise _joined(self._failures)

    def _note_pass(self, controller: str, key: Key, waited_s: float) -> None:
        if self._recorder is not None:
            self._recorder.passed(controller, str(key), waited_s)

    def _note_stopping(self) -> None:
        """What is ready now is dropped when the queues close."""
        if self._recorder is not None and self._recorder.running:
            queued = ((name, each) for name, one in self._controllers.items() for each in one.queue.snapshot())
            self._recorder.stopping((name, str(each.key)) for name, each in queued if each.state == "ready")

    async def _until(self, stop: asyncio.Event, work: Any) -> None:
        """Ends with ``stop``, with the first failure, or with what ``work`` raises."""
        running = asyncio.ensure_future(work)
        ends = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._failed.wait())]
        try:
            await asyncio.wait([running, *ends], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            for each in (running, *ends):
                each.cancel()
            await asyncio.wait([running, *ends])

    async def _run_parts(self, stop: asyncio.Event) -> None:
        if self._watch_loop:
            self._loop_watch.start()
        if self._endpoints is not None:
            await self._endpoints.start()
        if self._preflight:
            reconcilers = [controller.reconciler for controller in self._controllers.values()]
            await require_permissions(self._ungated, reconcilers, self._caches, self._other_permissions())
        if self._webhooks is not None:
            await self._webhooks.start(self._ungated, registry=self.registry, clock=self.clock, log=self.log)
        if self._certs is not None:
            self._others.add("certificate watcher", self._certs.run)
        for controller in self._controllers.values():
            await controller.declare()
        if self._elector is not None:
            self._recorders.add("events of the election", self._election_recorder.run)
        self._recorders.start()
        self.informers.start()
        await self.informers.wait_synced(timeout_s=SYNC_TIMEOUT_S)
        self._others.start()
        if self._elector is not None or self._shards is not None:
            warm = [each for each in self._controllers.values() if each.reconciler.warms_up]
            await asyncio.gather(*(each.warm_up() for each in warm))
        self.ready.set()
        if self._elector is not None:
            self.checks_live["leader-election"] = self._elector.check
            await self._act_while_held(self._elector, "leader election")
        elif self._shards is not None:
            await self._act_while_held(self._shards, "place in the ring")
        else:
            self._leading.start()
        await stop.wait()

    def _other_permissions(self) -> frozenset[Permission]:
        """Of leases, of webhooks' certificates and of reviews; all that is needed beside the reconcilers."""
        needed = frozenset() if self._webhooks is None else needed_permissions(self._webhooks.needs)
        if self._authorizes:
            needed |= reviewing_permissions()
        if self._elector is not None:
            needed |= election_permissions(self._elector.key.namespace, self._elector.key.name)
        if self._shards is not None:
            needed |= sharding_permissions(self._shards.key.namespace)
        return needed

    async def _act_while_held(self, lease: LeaderElector | Shards, what: str) -> None:
        """Starts what needs the lease once this process has it; ends the manager once it has not."""
        self._election = asyncio.create_task(lease.run(), name=what)
        changed = asyncio.create_task(lease.changed.wait())
        try:
            await asyncio.wait([self._election, changed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        if not self._election.done():
            self._leading.start()
            await asyncio.wait([self._election])
        self._election.result()
        self._fail(LeadershipLost(f"{what} lost: the lease {lease.key} was not renewed in time"))

    def _fail(self, failure: ManagerError) -> None:
        self._failures.append(failure)
        self._failed.set()

    # -- stopping --------------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        lost = any(isinstance(each, LeadershipLost) for each in self._failures)
        grace_s = 0.0 if lost else self._grace_period_s
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_s

        def left_s() -> float | None:
            return None if grace_s < 0 else max(deadline - loop.time(), 0.0)

        if self._shards is not None:
            self._shards.leave()
        hanging = [*await self._leading.stop(left_s()), *await self._others.stop(left_s())]
        await self.informers.stop()
        if self._webhooks is not None:
            await self._webhooks.stop()
        election = getattr(self, "_election", None)
        if election is not None:
            election.cancel()
            await asyncio.wait([election])
        await self._recorders.stop(left_s())
        if self._endpoints is not None:
            await self._endpoints.stop()
        self._loop_watch.stop()
        if hanging:
            self._failures.append(ManagerError(f"did not stop within {grace_s:g} s: {', '.join(hanging)}"))

    def _caches_problem(self) -> str | None:
        now = self.clock.monotonic()
        behind = [each.name for each in self.informers if not each.has_synced]
        if behind:
            return f"not synced: {', '.join(behind)}"
        stale = [(each.name, each.staleness_s(now)) for each in self.informers]
        old = [f"{name} for {age:.0f} s" for name, age in stale if age > self._ready_staleness_s]
        return f"nothing heard of {', '.join(old)}" if old else None

    def _refuse_if_started(self, what: str) -> None:
        if self._started:
            raise ConfigError(f"{what} came after the manager was started")


def _own_namespace(what: str, option: str) -> str:
    """That of the Pod."""
    try:
        return _NAMESPACE_FILE.read_text().strip()
    except OSError as error:
        raise ConfigError(f"{what} outside a Pod needs a namespace: {option}(name=…, namespace=…)") from error


def _joined(failures: list[ManagerError]) -> ManagerError:
    if len(failures) == 1:
        return failures[0]
    joined = type(failures[0])("; ".join(str(each) for each in failures))
    joined.__cause__ = ExceptionGroup("the manager failed", failures)
    return joined
