"""``controllerkit top``: what a running manager does, live."""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from controllerkit.errors import ConfigError, TransportError

__all__ = ["TOP_HELP", "act", "fetch", "picture", "top"]

TOP_HELP = """Show queues, keys in work, failing keys, caches and the leader of a running manager.

The manager must serve its debug page: Manager(client, serving=Serving(address="127.0.0.1:8080", debug=True)).
Where it is authorized, give the token of a ServiceAccount that may get /debug, by --token-file or in
$CONTROLLERKIT_TOKEN.

Examples:

  controllerkit top --url http://127.0.0.1:8080

  controllerkit top --once --json | jq '.controllers[].failing'

  controllerkit top --pause etcdcluster default/example
"""

TIMEOUT_S = 5.0
TOKEN_ENV = "CONTROLLERKIT_TOKEN"  # noqa: S105 - the name of a variable


def top(
    url: Annotated[str, typer.Option(help="where the manager serves")] = "http://127.0.0.1:8080",
    token_file: Annotated[Path | None, typer.Option(help="file with a bearer token")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="authority of the manager's certificate")] = None,
    once: Annotated[bool, typer.Option("--once", help="print once and end")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON; with --once for scripts")] = False,
    every_s: Annotated[float, typer.Option("--every", help="seconds between two pictures")] = 1.0,
    requeue: Annotated[tuple[str, str] | None, typer.Option(help="CONTROLLER KEY: look at a key now")] = None,
    pause: Annotated[tuple[str, str] | None, typer.Option(help="CONTROLLER KEY: hold a key back")] = None,
    resume: Annotated[tuple[str, str] | None, typer.Option(help="CONTROLLER KEY: end a pause")] = None,
) -> None:
    """See ``TOP_HELP``."""
    page = _Page(url, _token(token_file), ca_file)
    for action, target in (("requeue", requeue), ("pause", pause), ("resume", resume)):
        if target is not None:
            print(act(page, action, *target))
            return
    if as_json or once or not sys.stdout.isatty():
        found = fetch(page)
        Console().print(picture(found)) if not as_json else print(json.dumps(found))
        return
    with Live(picture(fetch(page)), refresh_per_second=4, screen=True) as live:
        while True:
            time.sleep(every_s)
            live.update(picture(fetch(page)))


class _Page:
    """Where the debug page is, and how it is read."""

    def __init__(self, url: str, token: str, ca_file: Path | None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"--url is http://… or https://…, got {url!r}")
        if token and url.startswith("http://") and not url.startswith(("http://127.0.0.1", "http://localhost")):
            raise ConfigError(f"a token is not sent to {url} without TLS")
        self.url = url.rstrip("/") + "/debug"
        self._token = token
        self._tls = ssl.create_default_context(cafile=ca_file) if url.startswith("https://") else None

    def ask(self, body: bytes | None = None) -> bytes:
        """The answer to a GET, or to a POST of ``body``."""
        headers = {"X-Controllerkit-Action": "top"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.url, data=body, headers=headers)  # noqa: S310 - the scheme was checked
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=self._tls) as answer:  # noqa: S310
                found: bytes = answer.read()
                return found
        except urllib.error.HTTPError as error:
            told = error.read(2000).decode(errors="replace").strip()
            hint = "; does the manager serve it (Serving(debug=True))?" if error.code == 404 else ""
            raise TransportError(f"{self.url} answered {error.code}: {told}{hint}") from None
        except (urllib.error.URLError, OSError) as error:
            raise TransportError(f"{self.url} cannot be reached: {error}") from None


def _token(file: Path | None) -> str:
    if file is None:
        return os.environ.get(TOKEN_ENV, "")
    try:
        return file.read_text().strip()
    except OSError as error:
        raise ConfigError(f"--token-file {file}: {error.strerror}") from error


def fetch(page: _Page) -> dict[str, Any]:
    """What the debug page shows."""
    found: dict[str, Any] = json.loads(page.ask())
    return found


def act(page: _Page, action: str, controller: str, key: str) -> str:
    """Does something to a key; what the manager says of it."""
    return page.ask(json.dumps({"action": action, "controller": controller, "key": key}).encode()).decode().strip()


def picture(found: dict[str, Any]) -> Group:
    """The page for a terminal."""
    parts: list[Any] = [Text(_headline(found), style="bold")]
    for controller in found["controllers"]:
        title = (
            f"controller {controller['name']}: {controller['queued_keys']} keys, {len(controller['in_work'])} in work"
        )
        table = Table(
            "key", "state", "prio", "for", "due", "failures", "why / where", title=title, title_justify="left"
        )
        works = {each["key"]: each["where"] for each in controller["in_work"]}
        for each in controller["queue"]:
            where = works.get(each["key"]) if each["state"] == "processing" else ""
            due = "" if each["due_in_s"] is None else f"{each['due_in_s']:.1f} s"
            why = ", ".join(each["reasons"])
            row = (each["key"], each["state"], each["priority"], f"{each['for_s']:.1f} s", due, each["failures"])
            table.add_row(*map(str, row), f"{why}{' @ ' + where if where else ''}")
        parts.append(table)
        if controller["failing"]:
            failing = Table("key", "failures", "for", "last error", title="failing", title_justify="left", style="red")
            for each in controller["failing"]:
                failing.add_row(each["key"], str(each["failures"]), f"{each['for_s']:.0f} s", each["error"])
            parts.append(failing)
    caches = Table("kind", "objects", "bytes", "version", "heard", "failures", title="caches", title_justify="left")
    for each in found["caches"]:
        heard = "not synced" if each["stale_s"] is None else f"{each['stale_s']:.0f} s ago"
        row = (each["kind"], each["objects"], f"{each['bytes']:,}", each["version"], heard, each["failures"])
        caches.add_row(*map(str, row))
    parts.append(caches)
    return Group(*parts)


def _headline(found: dict[str, Any]) -> str:
    leader, shard = found["leader"], found.get("shard")
    if shard is not None:
        return f"lease {shard['lease']}: {'one of' if shard['active'] else 'not among'} {', '.join(shard['members'])}"
    if leader is None:
        return "no leader election"
    return f"lease {leader['lease']}: {'this process leads' if leader['leading'] else leader['leader'] or 'nobody'}"
