"""The README's operator: a page for each Website."""

from __future__ import annotations

from controllerkit import Request, kinds
from controllerkit.testing import World
from examples.website import Website, WebsiteReconciler
from tests.sweep.subject import Subject


def site(name: str, text: str) -> dict[str, object]:
    return {"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": name}, "spec": {"text": text}}


def every_site_has_its_page(world: World) -> None:
    for each in world.list(Website):
        page = world.get(kinds.CONFIG_MAP, f"{each.key.name}-page")
        assert page is not None, f"{each.key} has no page"
        assert page.get("data", "html") == each.spec.text, f"the page of {each.key} is old"
        assert each.status.page == page.name, f"the status of {each.key} does not say where its page is"


class LooksOnce(WebsiteReconciler):
    """What the status tells of is taken for granted: a page that somebody deletes stays away."""

    async def reconcile(self, request: Request) -> None:
        site = await self.get(request.key)
        if site is not None and site.status.page:
            return
        await super().reconcile(request)


class CreatesBlindly(WebsiteReconciler):
    """A create that is not right to do twice."""

    async def reconcile(self, request: Request) -> None:
        site = await self.get(request.key)
        if site is None:
            return
        if not site.status.page:
            page = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{site.key.name}-page"}}
            await self.client.create({**page, "data": {"html": site.spec.text}})
        await super().reconcile(request)


WEBSITE = Subject(
    name="website",
    make=WebsiteReconciler,
    given={
        "primaries": [site("a", "one"), site("a", "two"), site("b", "one")],
        "converged": every_site_has_its_page,
    },
    bugs={LooksOnce: {}, CreatesBlindly: {}},
)
