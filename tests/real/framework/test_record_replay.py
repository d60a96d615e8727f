"""A recording of the real API server: the same code does the same on it, other code differs where it does."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import pytest

from controllerkit import Client, Key, Reconciler, Request, kinds
from controllerkit.errors import ApiError
from controllerkit.runtime import wait_until
from controllerkit.testing import running
from controllerkit.testing.replay import replay
from controllerkit.wire.recording import RecordOptions, read_recording
from tests.unit.conftest import Website


class Sites(Reconciler[Website]):
    """A page in a ConfigMap and a password in a Secret; the last word is in the status, by a merge patch."""

    owns = (kinds.CONFIG_MAP, kinds.SECRET)
    punctuation = "."

    async def reconcile(self, request: Request) -> None:
        site = await self.get(request.key)
        if site is None:
            return
        text = f"{site.spec.get('text', '')}{self.punctuation}"
        page = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{site.key.name}-page"}}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{site.key.name}-password"}}
        await self.apply(site, [{**page, "data": {"html": text}}, {**secret, "stringData": {"p": f"hush-{text}"}}])
        found = self.read(kinds.CONFIG_MAP, Key("default", f"{site.key.name}-page"))
        if site.status.get("text") != text and found is not None:
            await self.client.patch(Website, request.key, {"status": {"text": text}}, subresource="status")


class Louder(Sites):
    punctuation = "!"


async def busy(websites: Client) -> None:
    for number in range(60):
        name = f"s{number * 7 % 5}"
        site: dict[str, Any] = {"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": name}}
        try:
            if number % 11 == 10:
                await websites.delete(Website, name)
            elif number % 13 == 12:
                await websites.delete(kinds.CONFIG_MAP, f"{name}-page")
            else:
                await websites.apply({**site, "spec": {"text": f"text {number}"}}, field_manager="user")
        except ApiError:
            continue

    async def quiet() -> bool:
        sites = (await websites.list(Website)).items
        return all(each.get("status", "text") == f"{each.get('spec', 'text')}." for each in sites)

    await wait_until(quiet, what="every site says its text", timeout_s=20.0)


@pytest.mark.real
async def test_what_the_real_server_said_is_replayed_with_the_same_writes_and_with_others(
    websites: Client, tmp_path: Path
) -> None:
    path = tmp_path / "run.ckrec"
    async with running(websites, Sites(), record=RecordOptions(path=path)):
        await busy(websites)
    assert b"hush" not in gzip.decompress(path.read_bytes())
    recording = read_recording(path)
    report = await asyncio.to_thread(replay, recording, [Sites])
    assert not report.differs, str(report)
    assert sum(len(each.steps) for each in report.objects) > 30
    louder = await asyncio.to_thread(replay, recording, [Louder])
    differing = {each.resource for each in louder.objects if each.differs}
    assert differing == {"configmaps", "websites.example.dev"}
    changes = {
        change.path
        for each in louder.objects
        for step in each.steps
        if step.outcome == "different"
        for change in step.changes
    }
    assert changes == {"data.html", "status.text"}
