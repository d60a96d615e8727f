"""The controller: the three parts, put together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import ClassVar, Final

import aiohttp

from controllerkit.client import KindLike
from controllerkit.controller import Plan, PlanningReconciler, Request
from controllerkit.objects import Key, kinds
from operators.etcd.api import EtcdCluster
from operators.etcd.cluster.act import act
from operators.etcd.cluster.analyze import analyze
from operators.etcd.cluster.model import ClusterAction, Observed, Refused
from operators.etcd.cluster.observe import Dial, observe
from operators.etcd.versions import Version, VersionMap
from operators.etcd.wire import EtcdApi, EtcdClient

__all__ = ["EtcdClusterReconciler"]


PROBE_TIMEOUT_S: Final = 1.0
"""A member that starts accepts connections seconds before it answers; every pass waits this long for it."""

CHANGE_TIMEOUT_S: Final = 5.0
"""A change of members has to be committed by a majority, at worst after an election."""


class EtcdClusterReconciler(PlanningReconciler[EtcdCluster, Observed, ClusterAction]):
    """Keeps every `EtcdCluster` as its spec says.

    Args:
        mapping: which version runs for one that cannot be had.
        dial: makes clients of etcd; the default speaks to the members' JSON gateway.
    """

    owns: ClassVar[tuple[KindLike, ...]] = (kinds.POD, kinds.PERSISTENT_VOLUME_CLAIM, kinds.SERVICE)
    max_concurrent_reconciles: ClassVar[int] = 8

    def __init__(self, *, mapping: VersionMap | None = None, dial: Dial | None = None) -> None:
        super().__init__()
        self._mapping = mapping or VersionMap()
        self._dial_to_ask: Dial = dial or partial(self._dial_gateway, timeout_s=PROBE_TIMEOUT_S)
        self._dial_to_change: Dial = dial or partial(self._dial_gateway, timeout_s=CHANGE_TIMEOUT_S)
        self._session: aiohttp.ClientSession | None = None
        self._refused: dict[Key, Refused] = {}

    async def observe(self, request: Request) -> Observed | None:
        """As `cluster.observe`."""
        refused = self._refused.pop(request.key, None)
        return await observe(self.client, self._dial_to_ask, request.key, self._mapping, refused=refused)

    def analyze(self, observed: Observed, now: datetime) -> Plan[ClusterAction]:
        """As `cluster.analyze`."""
        return analyze(observed, now)

    async def act(self, observed: Observed, action: ClusterAction) -> None:
        """As `cluster.act`; a "not now" of etcd's is told in the next status and asked again."""
        if told := await act(self.client, self._dial_to_change, observed, action):
            self._refused[observed.cluster.key] = told

    async def aclose(self) -> None:
        """Closes the connections to etcd."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _dial_gateway(self, endpoints: Sequence[str], version: Version | None, *, timeout_s: float) -> EtcdApi:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return EtcdClient(endpoints, version=version, session=self._session, timeout_s=timeout_s)
