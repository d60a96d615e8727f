"""Hands on a running cluster: what the demonstration and the scenario tests do to it and see of it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import yaml

from controllerkit.client import Client
from controllerkit.devcluster import Bed
from controllerkit.devcluster.process import ChildProcess, tail_of
from controllerkit.errors import ApiError, ControllerkitError, NotFound
from controllerkit.objects import Object, kinds
from controllerkit.runtime import wait_until
from operators.etcd.api import EtcdCluster
from operators.etcd.wire import EtcdClient

__all__ = ["CRD_FILE", "OperatorProcess", "Stage"]

CRD_FILE: Final = Path(__file__).resolve().parents[3] / "crds" / "etcdclusters.yaml"
CLIENT_PORT: Final = 2379
STOP_TIMEOUT_S: Final = 20.0


class OperatorProcess:
    """The etcd operator as a process of its own, against a kubeconfig. It can be killed and started again."""

    def __init__(self, kubeconfig: Path, log_file: Path, *arguments: str) -> None:
        self._child = ChildProcess(
            "the etcd operator",
            [sys.executable, "-m", "operators.etcd", "run", "--kubeconfig", str(kubeconfig), *arguments],
            log=log_file.resolve(),
        )

    @property
    def log_file(self) -> Path:
        """Where its log is appended to."""
        return self._child.log

    def start(self) -> None:
        """Starts it."""
        self._child.start()

    def check(self) -> None:
        """Raises DevClusterError, with the end of its log, where it has ended by itself."""
        self._child.check()

    async def kill(self) -> None:
        """SIGKILL: as a node that loses power."""
        self._child.send(signal.SIGKILL)
        await self._child.wait(STOP_TIMEOUT_S)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not end it in time."""
        await self._child.stop(STOP_TIMEOUT_S)

    def last_lines(self) -> str:
        """The end of its log."""
        return tail_of(self._child.log)


class Stage:
    """One EtcdCluster on one development cluster."""

    def __init__(self, bed: Bed, name: str, namespace: str = "default") -> None:
        self.bed = bed
        self.name = name
        self.namespace = namespace

    @property
    def client(self) -> Client:
        """An administrator's client."""
        return self.bed.client

    # -- setting up -----------------------------------------------------------------------------------------------

    async def install_crd(self) -> None:
        """Applies the CustomResourceDefinition and returns when the kind is served."""
        await self.client.apply(yaml.safe_load(CRD_FILE.read_text()))

        async def served() -> bool:
            with suppress(ApiError):
                await self.client.list(EtcdCluster)
                return True
            return False

        await wait_until(served, what="EtcdCluster is served", timeout_s=30.0)

    async def create(self, spec: Mapping[str, Any]) -> Object:
        """Creates the EtcdCluster."""
        kind = EtcdCluster.resource_kind()
        return await self.client.create(
            {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": dict(spec),
            }
        )

    async def delete(self) -> None:
        """Deletes it and returns when its Pods and volumes are gone."""
        with suppress(NotFound):
            await self.client.delete(EtcdCluster, self.name, self.namespace)

        async def gone() -> bool:
            pods = await self.client.list(kinds.POD, self.namespace, label_selector=self.selector)
            claims = await self.client.list(kinds.PERSISTENT_VOLUME_CLAIM, self.namespace, label_selector=self.selector)
            return not pods.items and not claims.items

        await wait_until(gone, what=f"{self.name} is gone", timeout_s=60.0, interval_s=0.1)

    # -- looking --------------------------------------------------------------------------------------------------

    @property
    def selector(self) -> str:
        """What the operator labels a cluster's objects with."""
        return f"app=etcd,etcd_cluster={self.name}"

    async def status(self) -> Mapping[str, Any]:
        """The status the operator wrote; {} before it did."""
        return (await self.client.get(EtcdCluster, self.name, self.namespace)).status

    async def members(self) -> Sequence[Mapping[str, Any]]:
        """``status.memberStatuses``."""
        return (await self.status()).get("memberStatuses") or ()

    async def member(self, role: str) -> Mapping[str, Any]:
        """A healthy member of this role; a newest follower, for there are several."""

        async def found() -> Mapping[str, Any] | None:
            fitting = [m for m in await self.members() if m.get("role") == role and m.get("healthy")]
            return fitting[-1] if fitting else None

        member = await wait_until(found, what=f"a healthy {role} of {self.name}", timeout_s=30.0, interval_s=0.05)
        assert member is not None  # noqa: S101 - wait_until returns only what is true
        return member

    async def wait_healthy(self, size: int, *, timeout_s: float = 60.0, without: Sequence[str] = ()) -> None:
        """Returns when exactly ``size`` members are healthy voters and none has an id in ``without``.

        Raises:
            DeadlineExceeded: with the last status.
        """
        told: list[str] = []

        async def healthy() -> bool:
            status = await self.status()
            members = status.get("memberStatuses") or ()
            told[:] = [f"{m.get('name')}:{m.get('role')}:{m.get('healthy')}:{m.get('why', '')}" for m in members]
            told.append(f"plan {status.get('plan')} phase {status.get('phase')}")
            settled = all(m.get("healthy") and m.get("role") in ("leader", "follower") for m in members)
            return (
                len(members) == size
                and settled
                and not any(m.get("id") in without for m in members)
                and status.get("size") == size
            )

        try:
            await wait_until(healthy, what="", timeout_s=timeout_s, interval_s=0.05)
        except ControllerkitError as error:
            raise type(error)(f"{self.name} did not get {size} healthy members in {timeout_s:g} s: {told}") from None

    async def addresses(self) -> list[str]:
        """The Pods' etcd addresses, for clients that are no Pods themselves."""
        pods = await self.client.list(kinds.POD, self.namespace, label_selector=self.selector)
        found = [pod.get("status", "podIP") for pod in pods.items if not pod.deleting]
        return [f"http://{address}:{CLIENT_PORT}" for address in found if address]

    async def etcd(self) -> EtcdClient:
        """A client to the members that have an address now."""
        return EtcdClient(await self.addresses())

    # -- doing ----------------------------------------------------------------------------------------------------

    async def resize(self, size: int) -> None:
        """Asks for another size."""
        await self.client.patch(EtcdCluster, self.name, {"spec": {"size": size}}, self.namespace)

    async def destroy_pod(self, member: str) -> None:
        """Kills the member's Pod without grace."""
        await self.client.delete(kinds.POD, member, self.namespace, grace_period_s=0)

    async def destroy_volume(self, member: str) -> None:
        """Deletes the member's volume claim: its data is lost when the Pod that uses it is gone."""
        await self.client.delete(kinds.PERSISTENT_VOLUME_CLAIM, member, self.namespace)
