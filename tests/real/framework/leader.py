"""A process that writes while it leads, and tells on standard output what it does."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from controllerkit import Client, Manager, kinds
from controllerkit.election import ElectionOptions
from controllerkit.errors import ControllerkitError, NotLeading
from controllerkit.manager import LeaderElection

PAUSE_S = 0.1


def tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main(kubeconfig: str, identity: str) -> int:
    async with await Client.connect(kubeconfig=kubeconfig) as client:
        options = ElectionOptions(lease_duration_s=3, renew_deadline_s=2.0, retry_period_s=0.2)
        election = LeaderElection(name="lock", namespace="default", identity=identity, options=options)
        manager = Manager(client, leader_election=election)

        async def write() -> None:
            number = 0
            while True:
                number += 1
                try:
                    data = {"by": identity, "number": str(number)}
                    await client.patch(kinds.CONFIG_MAP, "written", {"data": data}, "default")
                    tell(wrote=number)
                except NotLeading as error:
                    tell(refused=str(error))
                await asyncio.sleep(PAUSE_S)

        async def wait() -> None:
            tell(waiting=identity)
            await asyncio.Event().wait()

        manager.add_runnable("writes", write, needs_leader=True)
        manager.add_runnable("waits", wait)
        try:
            await manager.run()
        except ControllerkitError as error:
            tell(ended=f"{type(error).__name__}: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
