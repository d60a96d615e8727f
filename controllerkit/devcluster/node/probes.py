"""One try of a probe or of a preStop hook: HTTP, TCP, or a command inside the container's namespaces.

``exec`` enters the namespaces of the running container with nsenter, so it sees the same files, processes and host
name. ``grpc`` is checked as far as the TCP connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp

from controllerkit.devcluster.node.process import SandboxProcess

__all__ = ["run_handler"]

BODY_SHOWN_MAX: Final = 200


async def run_handler(
    handler: Mapping[str, Any],
    container: Mapping[str, Any],
    process: SandboxProcess,
    *,
    pod_ip: str,
    timeout_s: float,
    http: aiohttp.ClientSession,
) -> tuple[bool, str]:
    """Whether it succeeded within ``timeout_s``, and what to tell people if not."""
    try:
        if action := handler.get("exec"):
            code, output = await process.run_inside(action.get("command") or (), timeout_s=timeout_s)
            return code == 0, output or f"command exited with code {code}"
        if action := handler.get("httpGet"):
            return await _http(action, container, pod_ip, timeout_s, http)
        if action := handler.get("tcpSocket") or handler.get("grpc"):
            host = action.get("host") or pod_ip
            return await _tcp(host, _port(action["port"], container), timeout_s)
        if action := handler.get("sleep"):
            await asyncio.sleep(min(float(action.get("seconds") or 0), timeout_s))
            return True, ""
    except ValueError as error:
        return False, str(error)
    return False, f"no known handler in {', '.join(handler)}"


def _port(port: int | str, container: Mapping[str, Any]) -> int:
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for entry in container.get("ports") or ():
        if entry.get("name") == port:
            return int(entry["containerPort"])
    raise ValueError(f"the container has no port named {port!r}")


async def _http(
    action: Mapping[str, Any], container: Mapping[str, Any], pod_ip: str, timeout_s: float, http: aiohttp.ClientSession
) -> tuple[bool, str]:
    scheme = (action.get("scheme") or "HTTP").lower()
    path = action.get("path") or "/"
    host = action.get("host") or pod_ip
    url = f"{scheme}://{host}:{_port(action['port'], container)}{path if path.startswith('/') else '/' + path}"
    headers = {entry["name"]: entry.get("value", "") for entry in action.get("httpHeaders") or ()}
    try:
        # The kubelet verifies no certificate here either.
        async with http.get(
            url, headers=headers, ssl=False, timeout=aiohttp.ClientTimeout(total=timeout_s), allow_redirects=False
        ) as response:
            if 200 <= response.status < 400:
                return True, ""
            body = (await response.content.read(BODY_SHOWN_MAX)).decode(errors="replace")
            return False, f"HTTP probe failed with statuscode: {response.status} {body}".strip()
    except TimeoutError:
        return False, f'Get "{url}": no answer within {timeout_s:g}s'
    except aiohttp.ClientError as error:
        return False, f'Get "{url}": {error}'


async def _tcp(host: str, port: int, timeout_s: float) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return False, f"dial tcp {host}:{port}: no answer within {timeout_s:g}s"
    except OSError as error:
        return False, f"dial tcp {host}:{port}: {error.strerror or error}"
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True, ""
