"""``docs/recording.md`` shows what runs, and names what is hidden and what is not compared."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from controllerkit import Client, kinds
from controllerkit.apiserver import ApiServer
from controllerkit.client import wait_for
from controllerkit.testing import connected
from controllerkit.testing.replay import likeness, replay
from controllerkit.wire.recording import read_recording, recorder
from controllerkit.wire.recording.redaction import ALWAYS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "recording.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


async def manage(shown: dict[str, Any], client: Client) -> None:
    """Runs the page's manager until the site has its page and says so."""
    site = {"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": "hello"}}
    await client.create({**site, "spec": {"text": "<h1>Hello</h1>"}})
    stop = asyncio.Event()
    running = asyncio.create_task(shown["recorded_manager"](client).run(stop))
    website = shown["WebsiteReconciler"].resource
    await wait_for(client, kinds.CONFIG_MAP, "hello-page", lambda page: page is not None, timeout_s=20.0)
    await wait_for(
        client, website, "hello", lambda now: now is not None and bool(now.get("status", "page")), timeout_s=20.0
    )
    stop.set()
    await running


async def test_the_examples_of_the_page_record_replay_and_tell_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.chdir(tmp_path)
    record, test = blocks("python")
    shown: dict[str, Any] = {}
    exec(record, shown)
    exec(test, shown)
    async with ApiServer() as server, connected(server, [shown["WebsiteReconciler"].resource]) as client:
        await manage(shown, client)
    await asyncio.to_thread(shown["test_the_pages_of_last_tuesday_would_be_the_same"])

    class Loud(shown["WebsiteReconciler"]):  # type: ignore[misc]
        async def apply(self, owner: Any, desired: Any, **options: Any) -> Any:
            louder = [{**each, "data": {"html": each["data"]["html"].upper()}} for each in desired]
            return await super().apply(owner, louder, **options)

    report = await asyncio.to_thread(replay, read_recording(Path("run.ckrec")), [Loud])
    (told,) = [each for each in blocks("") if each.startswith("configmaps")]
    assert re.sub(r"\d\.\d+ s", "0 s", str(report)) == re.sub(r"\d\.\d+ s", "0 s", told.rstrip())


def test_what_the_page_says_is_hidden_is() -> None:
    rows = PAGE.partition("| of | what |")[2].partition("\n\n")[0].splitlines()[2:-1]
    named = {(row.split("`")[1], path) for row in rows for path in re.findall(r"`([^`]+)`", row.split("|")[2])}
    assert named == {(rule.kind, ".".join(rule.path)) for rule in ALWAYS}
    assert recorder.SIZE_MAX_BYTES == 64 * 2**20
    assert "(64 MiB if not given)" in PAGE


def test_what_the_page_says_is_not_compared_is_not() -> None:
    told = PAGE.partition("Not compared")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", told)) == (likeness._SERVERS | likeness._TRANSITIONS) - {"selfLink"}
    assert f"at most {likeness.SLACK_S:g} s apart" in told
