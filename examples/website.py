"""An operator in twenty lines: a Website is a page in a ConfigMap, and the status says where it is.

Start a cluster (``controllerkit dev up``), set KUBECONFIG as it says, and run ``python examples/website.py``. Then::

    kubectl apply -f examples/website.yaml
    kubectl get website hello -o yaml; kubectl get configmap hello-page -o yaml
    kubectl delete configmap hello-page      # comes back
"""

from __future__ import annotations

import asyncio

from pydantic import Field

from controllerkit import ApiModel, Client, Manager, Reconciler, Request, Resource, kinds
from controllerkit.schema import Column


class WebsiteSpec(ApiModel):
    text: str = Field(max_length=10_000, description="The page.")


class WebsiteStatus(ApiModel):
    page: str = ""


class Website(Resource, group="example.dev", version="v1", columns=[Column("Page", ".status.page")]):
    spec: WebsiteSpec
    status: WebsiteStatus = WebsiteStatus()


class WebsiteReconciler(Reconciler[Website]):
    owns = (kinds.CONFIG_MAP,)

    async def reconcile(self, request: Request) -> None:
        site = await self.get(request.key)
        if site is None:
            return  # gone: the page follows by its owner reference
        name = f"{site.key.name}-page"
        page = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"html": site.spec.text}}
        await self.apply(site, [page])
        await self.write_status(site, {"page": name})


async def main() -> None:
    async with await Client.connect() as client:
        manager = Manager(client, metrics_address="127.0.0.1:8080")
        manager.add(WebsiteReconciler())
        await manager.run_until_signal()


if __name__ == "__main__":
    asyncio.run(main())
