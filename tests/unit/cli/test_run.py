"""``controllerkit run``: what it finds and refuses, what a dry run prints, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from controllerkit import Client, Key, Reconciler, kinds
from controllerkit.cli.run import load
from controllerkit.errors import ApiError, ConfigError
from controllerkit.runtime import wait_until

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "website.py"
DOCS = ROOT / "docs" / "reconcilers.md"

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:PORT'}}]
"""
MODULE = """
from controllerkit import Object, Reconciler, kinds

class Pods(Reconciler[Object]):
    kind = kinds.POD
    def __init__(self, *names, limit=3, **more): ...
    async def reconcile(self, request): ...

class Needy(Pods):
    def __init__(self, database): ...

class Half(Reconciler[Object]):
    "Abstract, so it cannot be meant."

def made():
    return Needy("db")

def wrong():
    return 5

ready = Pods()
number = 5
"""


# -- what is named -------------------------------------------------------------------------------------------------


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module in the current folder, as a project has it."""
    name = f"shop_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name


@pytest.mark.parametrize(("name", "kind"), [("Pods", "Pods"), ("made", "Needy"), ("ready", "Pods")])
@pytest.mark.parametrize("ending", ["", ".py"])
def test_a_class_a_function_and_one_made_already_are_found_by_module_and_by_file(
    module: str, name: str, kind: str, ending: str
) -> None:
    found = load(f"{module}{ending}:{name}")
    assert isinstance(found, Reconciler)
    assert type(found).__name__ == kind


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("{}", "which of {}? It has Needy, Pods; write {}:NAME"),
        ("{}:Missing", "{} has no Missing; it has Needy, Pods"),
        ("{}:Needy", "{}:Needy needs database; write a function without arguments that makes one, and name that"),
        ("{}:number", "{}:number is a int; name a Reconciler class, or a function that makes one"),
        ("{}:wrong", "{}:wrong() gave a int, which is no Reconciler"),
        ("{}:Object", "{}:Object is no Reconciler; {} has Needy, Pods"),
        ("nowhere_at_all:X", "cannot import nowhere_at_all: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("nowhere.py:X", "there is no file nowhere.py"),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_to_write(module: str, target: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(target.replace("{}", module))
    assert str(raised.value) == problem.replace("{}", module)


def test_a_module_that_raises_is_told_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("x = 1\ny = x / 0\n")
    with pytest.raises(ConfigError, match=r"ZeroDivisionError: division by zero at .*broken\.py:2"):
        load(f"{tmp_path / 'broken.py'}:X")


def test_the_only_reconciler_of_a_file_need_not_be_named() -> None:
    assert type(load(str(EXAMPLE))).__name__ == "WebsiteReconciler"


# -- as a process --------------------------------------------------------------------------------------------------


async def controllerkit(*arguments: str, kubeconfig: Path | None = None) -> tuple[int, str, str]:
    process = await started(*arguments, kubeconfig=kubeconfig)
    out, err = await asyncio.wait_for(process.communicate(), 60.0)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def started(*arguments: str, kubeconfig: Path | None = None) -> asyncio.subprocess.Process:
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(ROOT)}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "controllerkit.cli",
        *arguments,
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where the tests run in background
    )


@pytest.fixture
async def site(client: Client) -> Client:
    """A server with the example's Website on it."""
    definition, site = yaml.safe_load_all((ROOT / "examples" / "website.yaml").read_text())
    await client.create(definition)

    async def created() -> bool:
        try:
            await client.create(site)
        except (ApiError, ConfigError):
            return False
        return True

    await wait_until(created, what="the CRD is served", timeout_s=10.0)
    return client


@pytest.mark.parity("1d/plan")
async def test_a_dry_run_prints_what_the_documentation_shows_and_writes_nothing(site: Client, tmp_path: Path) -> None:
    before = await site.get(kinds.CUSTOM_RESOURCE_DEFINITION, "websites.example.dev")
    status, page, told = await controllerkit(
        "run", "examples/website.py", "--dry-run", kubeconfig=tmp_path / "kubeconfig"
    )
    assert (status, told) == (0, "")
    uid = (await _website(site)).uid
    shown = DOCS.read_text().partition("$ controllerkit run examples/website.py --dry-run\n")[2].partition("```")[0]
    assert page.replace(uid, "<uid>") == shown
    assert (await site.list(kinds.CONFIG_MAP, "default")).items == []
    assert (await _website(site)).status == {}
    after = await site.get(kinds.CUSTOM_RESOURCE_DEFINITION, "websites.example.dev")
    assert after.resource_version == before.resource_version


async def _website(client: Client):  # type: ignore[no-untyped-def]
    kind = next(each for each in await client.mapper.resources("example.dev", "v1") if each.kind == "Website")
    return await client.get(kind, Key("default", "hello"))


async def test_a_dry_run_in_json_can_hold_back_a_pipeline(site: Client, tmp_path: Path) -> None:
    status, out, _ = await controllerkit(
        "run", "examples/website.py", "--dry-run", "--json", "--exit-code", kubeconfig=tmp_path / "kubeconfig"
    )
    data = json.loads(out)
    assert (status, data["changes"], data["errors"]) == (3, True, False)
    assert [each["verb"] for each in data["objects"][0]["writes"]] == ["create", "update"]


async def test_a_run_works_until_it_is_interrupted_and_ends_well(site: Client, tmp_path: Path) -> None:
    process = await started("run", "examples/website.py", kubeconfig=tmp_path / "kubeconfig")

    async def page() -> bool:
        return bool((await site.list(kinds.CONFIG_MAP, "default")).items)

    await wait_until(page, what="the page", timeout_s=20.0)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 30.0)
    assert (process.returncode, out) == (0, b"")
    assert b'"event": "stopping"' in err


async def test_an_interrupted_dry_run_ends_with_130_and_without_a_traceback(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (tmp_path / "kubeconfig").write_text(KUBECONFIG.replace("PORT", str(port)))
    process = await started("run", "examples/website.py", "--dry-run", kubeconfig=tmp_path / "kubeconfig")
    await asyncio.wait_for(asked.wait(), 20.0)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 20.0)
    assert (process.returncode, out, b"Traceback" in err) == (130, b"", False)
    server.close()


async def test_what_is_called_wrongly_ends_with_status_2_and_a_sentence(tmp_path: Path) -> None:
    wrong = [
        (["run", "examples/website.py", "--json"], "--json and --exit-code are for a dry run; add --dry-run"),
        (["run", "nowhere.py"], "there is no file nowhere.py"),
        (["run", "examples/website.py", "--leader-elect", "a/b/c"], "[NAMESPACE/]NAME of a Lease, got 'a/b/c'"),
        (["run", "examples/website.py", "--shard", "a/b/c"], "--shard is [NAMESPACE/]NAME of a Lease, got 'a/b/c'"),
        (["run", "examples/website.py", "--shard", "op"], "sharding outside a Pod needs a namespace"),
        (["run", "examples/website.py", "--shard", "a/b", "--leader-elect", "a/b"], "say either leader_election"),
        (["run", "examples/website.py", "--leader-elect", "op"], "leader election outside a Pod needs a namespace"),
        (["run", "examples/website.py", "--kubeconfig", str(tmp_path / "none")], "none"),
    ]
    (tmp_path / "kubeconfig").write_text(KUBECONFIG.replace("PORT", "1"))
    for arguments, sentence in wrong:
        status, out, err = await controllerkit(*arguments, kubeconfig=tmp_path / "kubeconfig")
        assert (status, out) == (2, ""), arguments
        assert err.startswith("controllerkit: ")
        assert sentence in err
        assert err.count("\n") == 1


async def test_help_shows_examples_and_statuses() -> None:
    status, out, _ = await controllerkit("run", "--help")
    assert (status, "controllerkit run examples/website.py --dry-run" in out, "130 interrupted" in out) == (
        0,
        True,
        True,
    )
