"""A replica that stamps the ConfigMaps of its share of websites, and tells on standard output how it ended."""

from __future__ import annotations

import asyncio
import json
import sys

from controllerkit import Client, Manager, Reconciler, Request, Result, kinds
from controllerkit.election import ElectionOptions
from controllerkit.errors import ControllerkitError
from controllerkit.manager import Sharding
from tests.unit.conftest import Website

PAUSE_S = 0.1


class Stamping(Reconciler[Website]):
    name = "stamping"
    max_concurrent_reconciles = 4
    identity = ""

    async def reconcile(self, request: Request) -> Result | None:
        for part in ("begin", "end"):
            await self.client.patch(kinds.CONFIG_MAP, request.key, {"data": {"by": self.identity, "part": part}})
            await asyncio.sleep(PAUSE_S / 2)
        return Result(requeue_after_s=PAUSE_S)


async def main(kubeconfig: str, identity: str) -> int:
    async with await Client.connect(kubeconfig=kubeconfig) as client:
        options = ElectionOptions(lease_duration_s=3, renew_deadline_s=2.0, retry_period_s=0.2)
        sharding = Sharding(name="stamps", namespace="default", identity=identity, options=options)
        manager = Manager(client, sharding=sharding)
        reconciler = Stamping()
        reconciler.identity = identity
        manager.add(reconciler)
        try:
            await manager.run_until_signal()
        except ControllerkitError as error:
            sys.stdout.write(json.dumps({"ended": f"{type(error).__name__}: {error}"}) + "\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
