"""The README's operator, as it stands in ``examples/``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
import yaml

from controllerkit import Client, Manager, kinds
from controllerkit.errors import ApiError, ConfigError
from controllerkit.runtime import wait_until
from controllerkit.schema import custom_resource_definition

ROOT = Path(__file__).parents[3]


async def test_the_twenty_line_operator_makes_and_heals_its_page(client: Client) -> None:
    sys.path.insert(0, str(ROOT / "examples"))
    from website import Website, WebsiteReconciler

    definition, site = yaml.safe_load_all((ROOT / "examples" / "website.yaml").read_text())
    await client.create(definition)

    async def created() -> bool:
        try:
            await client.create(site)
        except (ApiError, ConfigError):
            return False
        return True

    await wait_until(created, what="the CRD is served", timeout_s=10.0)
    manager = Manager(client)
    manager.add(WebsiteReconciler())
    stop = asyncio.Event()
    task = asyncio.create_task(manager.run(stop))

    async def page() -> str:
        try:
            found = await client.get(kinds.CONFIG_MAP, "hello-page", "default")
        except ApiError:
            return ""
        return f"{found.uid} {found.get('data', 'html')}"

    first = await wait_until(page, what="the page", timeout_s=10.0)
    assert "<h1>Hello</h1>" in first
    await client.delete(kinds.CONFIG_MAP, "hello-page", "default")

    async def again() -> bool:
        found = await page()
        return bool(found) and found != first

    await wait_until(again, what="the page is back", timeout_s=10.0)

    async def told() -> bool:
        return (await client.get(Website, "hello", "default")).status.get("page") == "hello-page"

    await wait_until(told, what="the status", timeout_s=10.0)
    stop.set()
    await task


def test_its_definition_is_made_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples")
    from website import Website

    definition, _ = yaml.safe_load_all((ROOT / "examples" / "website.yaml").read_text())
    assert definition == custom_resource_definition(Website)


def test_the_readme_shows_what_the_example_is() -> None:
    code = (ROOT / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    example = (ROOT / "examples" / "website.py").read_text()
    for line in filter(None, code.splitlines()):
        assert line in example, line
