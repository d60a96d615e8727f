"""``controllerkit record`` and ``replay``: as processes, from Ctrl-C to the exit status."""

from __future__ import annotations

import gzip
import json
import signal
import stat
from pathlib import Path

import pytest

from controllerkit import Client, kinds
from controllerkit.client import wait_for
from controllerkit.wire.recording import LastEntry, Stopping, read_recording
from tests.unit.cli.test_run import EXAMPLE, KUBECONFIG, controllerkit, site, started

__all__ = ["site"]


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    return tmp_path / "kubeconfig"  # which the client's fixture wrote


async def recorded(site: Client, kubeconfig: Path, out: Path, *options: str) -> str:
    """What `controllerkit record` said while it made a page, until Ctrl-C."""
    process = await started("record", str(EXAMPLE), "--out", str(out), *options, kubeconfig=kubeconfig)
    try:
        await wait_for(site, kinds.CONFIG_MAP, "hello-page", lambda page: page is not None, timeout_s=30.0)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, err.decode()
    return err.decode()


async def test_ctrl_c_leaves_a_whole_file_and_the_same_code_does_the_same(
    site: Client, kubeconfig: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.ckrec"
    said = await recorded(site, kubeconfig, out)
    assert '"recording_ended"' in said
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    recording = read_recording(out)
    assert recording.header.reconcilers == {"website": "Website.v1.example.dev"}
    last = recording.entries[-1]
    assert isinstance(last, LastEntry)
    assert last.why == "the operator stopped"
    assert any(isinstance(each, Stopping) for each in recording.entries)
    status, shown, _ = await controllerkit("replay", str(out), str(EXAMPLE))
    assert status == 0, shown
    assert "writes the same, none different; 0 of 2 objects differ." in shown

    changed = tmp_path / "changed.py"
    changed.write_text(EXAMPLE.read_text().replace('{"html": site.spec.text}', '{"html": site.spec.text.upper()}'))
    status, shown, _ = await controllerkit("replay", str(out), str(changed))
    assert status == 1
    assert 'data.html: "<h1>Hello</h1>" -> "<H1>HELLO</H1>"' in shown
    status, told, _ = await controllerkit("replay", str(out), str(changed), "--json", "--seed", "3")
    assert status == 1
    differing = [each for each in json.loads(told)["objects"] if each["differs"]]
    assert [each["object"] for each in differing] == ["default/hello-page"]
    assert {each["path"] for step in differing[0]["writes"] for each in step["changes"]} == {"data.html"}


async def test_options_are_checked_and_what_is_named_is_hidden(site: Client, kubeconfig: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.ckrec"
    await recorded(site, kubeconfig, out, "--redact", "ConfigMap:data.html", "--max-size", "1Mi", "--max-time", "600")
    page = await site.get(kinds.CONFIG_MAP, "hello-page")
    entries = gzip.decompress(out.read_bytes()).decode().splitlines()
    pages = [each for each in entries if '"hello-page"' in each and '"html"' in each]
    assert pages
    assert not any(page.get("data", "html") in each for each in pages)
    for options, sentence in {
        ("--out", str(out)): "exists already; a recording overwrites nothing",
        ("--out", str(tmp_path / "b"), "--max-size", "many"): "--max-size is a number of bytes such as 64Mi",
        ("--out", str(tmp_path / "b"), "--redact", "Pod:"): "cannot redact 'Pod:'",
    }.items():
        status, _, err = await controllerkit("record", str(EXAMPLE), *options, kubeconfig=kubeconfig)
        assert (status, sentence in err) == (2, True), err


async def test_a_file_that_is_none_of_ours_ends_with_status_2_and_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(gzip.compress(b'{"ckrec":7,"controllerkit":"8.1.0"}\n'))
    (tmp_path / "text").write_text(KUBECONFIG)
    for name, sentence in {
        "old": "has format 7 (written by controllerkit 8.1.0); this controllerkit reads format 1",
        "text": "is no recording of `controllerkit record`",
        "nowhere": "cannot be read: No such file or directory",
    }.items():
        status, out, err = await controllerkit("replay", str(tmp_path / name), str(EXAMPLE))
        assert (status, out) == (2, "")
        assert err.startswith("controllerkit: ")
        assert sentence in err
        assert "Traceback" not in err
