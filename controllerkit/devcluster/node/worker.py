"""One Pod's driver: hands events to the machine, does what it says, writes the status."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar, assert_never

import aiohttp

from controllerkit.client import Client
from controllerkit.devcluster.images import ImageTable
from controllerkit.devcluster.node import machine, volumes
from controllerkit.devcluster.node import state as s
from controllerkit.devcluster.node.environment import ConfigMissing, PodFacts, command_of, environment
from controllerkit.devcluster.node.hosts import etc_files, own_hostname
from controllerkit.devcluster.node.logs import ContainerLog
from controllerkit.devcluster.node.lookup import Lookup
from controllerkit.devcluster.node.podspec import PodSpec
from controllerkit.devcluster.node.probes import run_handler
from controllerkit.devcluster.node.process import Exit, SandboxProcess
from controllerkit.devcluster.node.sandbox import DEFAULT_PATH, Mount, SandboxSpec, sandbox_line
from controllerkit.devcluster.node.status import OWN_CONDITIONS, pod_status
from controllerkit.errors import Conflict, ControllerkitError, DevClusterError, NotFound
from controllerkit.events import EventRecorder
from controllerkit.objects import Object, kinds
from controllerkit.runtime import Backoff, BackoffOptions, Clock, cancel_and_wait

__all__ = ["PodWorker", "WorkerContext"]

REFRESH_S: Final = 60.0
"""Filled volumes are looked at this often even if nothing was seen to change: tokens are renewed on the way."""

NODE_STOP_GRACE_S: Final = 2.0
"""What a program gets between SIGTERM and SIGKILL when the node itself stops."""

T = TypeVar("T")

TERMINATION_LOG: Final = "/dev/termination-log"
TERMINATION_BYTES_MAX: Final = 4096
START_ERROR_CODE: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """What all Pods of a node share."""

    client: Client
    clock: Clock
    log: Any
    images: ImageTable
    lookup: Lookup
    recorder: EventRecorder
    http: aiohttp.ClientSession
    bwrap: str
    base_env: Mapping[str, str]
    host_ip: str
    cpus: int
    memory_bytes: int
    hosts_of: Callable[[Object, str], str]


class PodWorker:
    """Runs one Pod from its first sight to its last.

    Guarantees:
        ``run`` ends only after every process of the Pod has ended, also when it is cancelled.
    """

    def __init__(self, context: WorkerContext, pod: Object, *, folder: Path, pod_ip: str) -> None:
        self.pod = pod
        self.pod_ip = pod_ip
        self._context = context
        self._folder = folder
        self._log = context.log.bind(pod=str(pod.key))
        self._events: asyncio.Queue[s.Event] = asyncio.Queue()
        self._state = machine.initial(PodSpec.of(pod), pod.status)
        self._volumes: dict[str, Path] = {}
        self._processes: dict[str, SandboxProcess] = {}
        self._stops: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._logs = {
            c.name: ContainerLog(folder / "logs" / c.name, context.clock.utcnow) for c in self._state.spec.containers
        }
        self._dirty = asyncio.Event()
        self._stale = asyncio.Event()
        self._written: dict[str, Any] | None = None
        self._grace_seen: float | None = None
        self._final = s.Finalize(delete=False)

    # -- from the node ---------------------------------------------------------------------------------------------

    def update(self, pod: Object) -> None:
        """The API object as it is now; of the spec, only the deletion is looked at again."""
        before, self.pod = self.pod, pod
        self._dirty.set()  # readiness gates are written by others
        if before.labels != pod.labels or before.annotations != pod.annotations:
            self.poke()
        if pod.deleting:
            given = pod.meta.deletion_grace_period_seconds
            grace_s = self._state.spec.grace_s if given is None else float(given)
            if self._grace_seen is None or grace_s < self._grace_seen:
                self._grace_seen = grace_s
                self._events.put_nowait(s.Deleting(grace_s))

    def vanish(self) -> None:
        """The API object is gone: every process is killed."""
        self._events.put_nowait(s.Vanished())

    def poke(self) -> None:
        """Something the Pod may refer to has changed."""
        self._events.put_nowait(s.Poked())
        self._stale.set()

    def write_hosts(self) -> None:
        """Brings the Pod's hosts file up to date, each change in one step."""
        folder = self._folder / "etc"
        if folder.is_dir():
            _write_etc(folder, {"hosts": self._context.hosts_of(self.pod, self.pod_ip)})

    def log_of(self, container: str) -> ContainerLog | None:
        """The container's log; None if the Pod has no such container."""
        return self._logs.get(container)

    @property
    def processes(self) -> Mapping[str, SandboxProcess]:
        """The running containers by name."""
        return self._processes

    # -- the loop --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the Pod is gone from this node."""
        writer = asyncio.create_task(self._write_statuses(), name=f"status of {self.pod.key}")
        refresher = asyncio.create_task(self._refresh_forever(), name=f"volumes of {self.pod.key}")
        try:
            self.update(self.pod)
            self._events.put_nowait(s.Tick())
            while not self._state.finalized:
                event = await self._next_event()
                self._state, effects = machine.step(self._state, event, self._now())
                self._dirty.set()
                for effect in effects:
                    self._do(effect)
            await cancel_and_wait(writer)
            await self._finalize()
        finally:
            await cancel_and_wait(writer, refresher, *self._tasks, *self._stops.values())
            await self._end_all()
            for log in self._logs.values():
                log.close()

    async def _next_event(self) -> s.Event:
        wake_at = machine.wake_at(self._state)
        if wake_at is None:
            return await self._events.get()
        event = await self._within(self._events.get(), wake_at - self._context.clock.monotonic())
        return s.Tick() if event is None else event

    async def _within(self, work: Coroutine[Any, Any, T], seconds: float) -> T | None:
        """What ``work`` returns, or None once ``seconds`` have passed."""
        worker = asyncio.ensure_future(work)
        sleeper = asyncio.ensure_future(self._context.clock.sleep(seconds))
        try:
            await asyncio.wait([worker, sleeper], return_when=asyncio.FIRST_COMPLETED)
            return worker.result() if worker.done() else None
        finally:
            sleeper.cancel()
            worker.cancel()

    def _now(self) -> s.Now:
        return s.Now(self._context.clock.monotonic(), self._context.clock.utcnow())

    def _do(self, effect: s.Effect) -> None:
        match effect:
            case s.Prepare():
                self._spawn(self._prepare(), "prepare")
            case s.Start(name, attempt):
                self._spawn(self._start(name, attempt), f"start {name}")
            case s.Probe(name, attempt, _):
                self._spawn(self._probe(effect), f"probe {name}")
            case s.Stop(name, _, grace_s):
                self._stop(name, grace_s)
            case s.Report(kind, reason, message, container):
                self._context.recorder.record(self.pod, kind, reason, message, field_path=self._field_path(container))
            case s.Finalize():
                self._final = effect
            case _:
                assert_never(effect)

    def _field_path(self, container: str) -> str:
        """As the kubelet has it: events about two containers are two events."""
        if not container:
            return ""
        return f"spec.{'initContainers' if self._state.container(container).spec.init else 'containers'}{{{container}}}"

    def _spawn(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.create_task(work, name=f"{what} of {self.pod.key}")
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("node_task_failed", task=task.get_name(), error=repr(error))

    # -- volumes ---------------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        try:
            files = etc_files(self.pod, self._context.hosts_of(self.pod, self.pod_ip))
            (self._folder / "etc").mkdir(parents=True, exist_ok=True)
            _write_etc(self._folder / "etc", files)
            self._volumes = await self._mounted()
        except (ControllerkitError, OSError) as error:
            self._events.put_nowait(s.PrepareFailed(f"MountVolume.SetUp failed: {error}"))
        else:
            self._events.put_nowait(s.Prepared())
            self._stale.set()  # for what changed while they were made

    async def _mounted(self) -> dict[str, Path]:
        pod = self.pod
        sources = await self._context.lookup.sources(pod)
        tokens = await self._context.lookup.tokens(pod)
        found: dict[str, Path] = {}
        for volume in pod.spec.get("volumes") or ():
            own = self._folder / "volumes" / volume["name"]
            if volumes.is_filled(volume):
                volumes.write_payload(own, volumes.payload(volume, self._facts(), sources, tokens))
                found[volume["name"]] = own
            else:
                claimed = await self._context.lookup.claimed_folder(pod.namespace, volume)
                found[volume["name"]] = volumes.local_folder(volume, own, claimed)
        return found

    async def _refresh(self) -> None:
        try:
            await self._mounted()
        except (ControllerkitError, OSError) as error:
            # Running containers keep what they have; the kubelet does the same when a Secret is deleted.
            self._log.warning("volumes_not_refreshed", error=str(error))

    async def _refresh_forever(self) -> None:
        """One at a time, so that an older state is never written over a newer one."""
        while any(map(volumes.is_filled, self.pod.spec.get("volumes") or ())):
            await self._within(self._stale.wait(), REFRESH_S)
            self._stale.clear()
            if self._volumes:
                await self._refresh()

    def _facts(self) -> PodFacts:
        context = self._context
        return PodFacts(
            pod=self.pod,
            pod_ip=self.pod_ip,
            host_ip=context.host_ip,
            cpus=context.cpus,
            memory_bytes=context.memory_bytes,
        )

    # -- containers ------------------------------------------------------------------------------------------------

    async def _start(self, name: str, attempt: int) -> None:
        container = self._state.container(name).spec
        fail = partial(s.StartFailed, name, attempt)
        try:
            image = await asyncio.to_thread(self._context.images.resolve, container.image)
        except DevClusterError as error:
            self._events.put_nowait(fail("ErrImagePull", str(error)))
            return
        hostname = own_hostname(self.pod)
        base = {"PATH": DEFAULT_PATH, "HOME": "/root", "HOSTNAME": hostname, **self._context.base_env, **image.env}
        filled = frozenset(v["name"] for v in self.pod.spec.get("volumes") or () if volumes.is_filled(v))
        try:
            sources = await self._context.lookup.sources(self.pod)
            values = environment(container.body, self._facts(), sources, base)
            mounts = volumes.mounts_of(container.body, self._volumes, filled, values)
        except ConfigMissing as error:
            self._events.put_nowait(fail("CreateContainerConfigError", str(error)))
            return
        except ControllerkitError as error:
            self._events.put_nowait(fail("CreateContainerError", str(error)))
            return
        message = self._folder / "logs" / f"{name}.message"
        message.parent.mkdir(parents=True, exist_ok=True)
        message.write_bytes(b"")
        mounts.append(Mount(message, container.body.get("terminationMessagePath") or TERMINATION_LOG))
        spec = SandboxSpec(
            hostname=hostname,
            command=command_of(container.body, image.entrypoint, values),
            etc=self._folder / "etc",
            files=image.files,
            mounts=mounts,
            working_dir=container.body.get("workingDir") or "",
            bwrap=self._context.bwrap,
        )
        await self._launch(name, attempt, spec, values, f"{image.reference}@{image.digest}")

    async def _launch(
        self, name: str, attempt: int, spec: SandboxSpec, values: Mapping[str, str], image_id: str
    ) -> None:
        log = self._logs[name].begin(attempt)
        identity = hashlib.sha256(f"{self._state.spec.uid}/{name}/{attempt}".encode()).hexdigest()

        def on_line(stream: str, text: bytes, whole: bool) -> None:
            log.write(stream, text, whole=whole)

        try:
            process = await SandboxProcess.start(_line_of(spec), env=values, on_line=on_line)
        except DevClusterError as error:
            self._events.put_nowait(s.StartFailed(name, attempt, "RunContainerError", str(error)))
            return
        self._processes[name] = process
        self._events.put_nowait(s.Started(name, attempt, f"sandbox://{identity}", image_id))
        try:
            ended = await process.wait()
        finally:
            log.close()
        if self._processes.get(name) is process:
            del self._processes[name]
        if (stop := self._stops.pop(name, None)) is not None:
            stop.cancel()
        self._events.put_nowait(self._exited(name, attempt, ended))

    def _exited(self, name: str, attempt: int, ended: Exit) -> s.Exited:
        if not ended.began:
            return s.Exited(
                name=name, attempt=attempt, exit_code=START_ERROR_CODE, reason="StartError", message=ended.message
            )
        message = ""
        with suppress(OSError):
            data = (self._folder / "logs" / f"{name}.message").read_bytes()
            message = data[:TERMINATION_BYTES_MAX].decode(errors="replace")
        return s.Exited(name=name, attempt=attempt, exit_code=ended.code, signal=ended.signal, message=message)

    async def _probe(self, effect: s.Probe) -> None:
        process = self._processes.get(effect.name)
        ok, message = False, "the container is not running"
        if process is not None:
            ok, message = await run_handler(
                effect.spec.handler,
                self._state.container(effect.name).spec.body,
                process,
                pod_ip=self.pod_ip,
                timeout_s=effect.spec.timeout_s,
                http=self._context.http,
            )
        self._events.put_nowait(s.Probed(effect.name, effect.attempt, effect.spec.kind, ok, message))

    # -- stopping --------------------------------------------------------------------------------------------------

    def _stop(self, name: str, grace_s: float) -> None:
        process = self._processes.get(name)
        if process is None:
            return  # it has ended, and the event that says so is on its way
        earlier = self._stops.get(name)
        hook = None
        if earlier is not None:
            earlier.cancel()  # its preStop hook has run or is cut short
        else:
            hook = (self._state.container(name).spec.body.get("lifecycle") or {}).get("preStop")
        self._stops[name] = asyncio.create_task(
            self._stop_within(process, name, grace_s, hook), name=f"stop {name} of {self.pod.key}"
        )

    async def _stop_within(
        self, process: SandboxProcess, name: str, grace_s: float, hook: Mapping[str, Any] | None
    ) -> None:
        clock = self._context.clock
        deadline = clock.monotonic() + grace_s
        if hook and grace_s > 0:
            body = self._state.container(name).spec.body
            ok, message = await run_handler(
                hook, body, process, pod_ip=self.pod_ip, timeout_s=grace_s, http=self._context.http
            )
            if not ok:
                text = f"PreStopHook failed: {message}"
                self._context.recorder.record(
                    self.pod, "Warning", "FailedPreStopHook", text, field_path=self._field_path(name)
                )
        if grace_s > 0:
            process.terminate()
        await clock.sleep(deadline - clock.monotonic())
        process.kill()

    async def _end_all(self) -> None:
        """SIGTERM to every program, a moment later SIGKILL to what is left; returns when nothing is."""
        processes = list(self._processes.values())
        for process in processes:
            process.terminate()
        if processes:
            waiters = [asyncio.ensure_future(process.wait()) for process in processes]
            await asyncio.wait(waiters, timeout=NODE_STOP_GRACE_S)
            for process in processes:
                process.kill()
            await asyncio.gather(*waiters)

    # -- status ----------------------------------------------------------------------------------------------------

    def _status(self) -> dict[str, Any]:
        conditions = self.pod.status.get("conditions") or ()
        if self._written is not None:
            # What was written last may not have come back yet; others' conditions are only in what came back.
            own = [c for c in self._written["conditions"] if c["type"] in OWN_CONDITIONS]
            conditions = [*own, *(c for c in conditions if c["type"] not in OWN_CONDITIONS)]
        status = pod_status(
            self._state,
            conditions=conditions,
            pod_ip=self.pod_ip,
            host_ip=self._context.host_ip,
            now=self._now(),
        )
        if (final := self.pod.status.get("phase")) in ("Succeeded", "Failed"):
            status["phase"] = final  # never taken back
        return status

    async def _write_statuses(self) -> None:
        """Writes the newest status; what changes while one write is under way goes into the next."""
        backoff = Backoff(BackoffOptions(initial_s=0.1, max_s=5.0), Random())
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._write_status()
            except NotFound:
                pass  # the deletion's event is on its way
            except ControllerkitError as error:
                self._log.warning("status_not_written", error=str(error))
                await self._context.clock.sleep(backoff.next_s(now=self._context.clock.monotonic()))
                self._dirty.set()

    async def _write_status(self) -> None:
        status = self._status()
        if status == self._written:
            return
        # The uid makes sure that this is not written onto a new Pod of the same name.
        patch = {"metadata": {"uid": self.pod.uid}, "status": status}
        await self._context.client.patch(kinds.POD, self.pod.key, patch, subresource="status")
        self._written = status

    async def _finalize(self) -> None:
        if self._final.delete:
            with suppress(NotFound, Conflict):
                await self._retried(self._write_status)
                await self._retried(self._delete_object)
        self._context.lookup.forget(self.pod.uid)
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _delete_object(self) -> None:
        await self._context.client.delete(kinds.POD, self.pod.key, grace_period_s=0, uid=self.pod.uid)

    async def _retried(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Until it works or cannot any more: a Pod that stays in the API blocks whoever waits for its end."""
        backoff = Backoff(BackoffOptions(initial_s=0.1, max_s=5.0), Random())
        while True:
            try:
                return await work()
            except (NotFound, Conflict):
                raise
            except ControllerkitError as error:
                self._log.warning("pod_not_finalized", error=str(error))
                await self._context.clock.sleep(backoff.next_s(now=self._context.clock.monotonic()))


def _line_of(spec: SandboxSpec) -> Callable[[int], Sequence[str]]:
    return lambda fd: sandbox_line(replace(spec, status_fd=fd))


def _write_etc(folder: Path, files: Mapping[str, str]) -> None:
    """Each file by a rename: a reader sees the old one or the new one, never a half."""
    for name, text in files.items():
        path = folder / name
        if path.is_file() and path.read_text() == text:
            continue
        partial_path = folder / f".{name}"
        partial_path.write_text(text)
        partial_path.rename(path)
