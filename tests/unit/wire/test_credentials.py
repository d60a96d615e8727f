"""Where the server and the credentials come from, and what is said when they do not."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml

from controllerkit.errors import ConfigError
from controllerkit.wire import Credentials, load_credentials


def kubeconfig(folder: Path, *, user: dict[str, object], cluster: dict[str, object] | None = None) -> Path:
    path = folder / "config"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster or {"server": "http://127.0.0.1:1/"}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
                "current-context": "x",
            }
        )
    )
    return path


async def test_server_namespace_and_token_come_from_the_current_context(tmp_path: Path) -> None:
    found = await load_credentials(kubeconfig=kubeconfig(tmp_path, user={"token": "secret"}))
    assert (found.server, found.namespace) == ("http://127.0.0.1:1", "team")
    assert await found.headers() == {"Authorization": "Bearer secret"}


async def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, user={"token": "t"})))
    assert (await load_credentials()).namespace == "team"


async def test_an_exec_plugin_is_asked_for_the_token(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    credential = {
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1",
        "status": {"token": "fresh"},
    }
    plugin.write_text(f"#!/bin/sh\ncat <<'EOF'\n{json.dumps(credential)}\nEOF\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    execute = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    found = await load_credentials(kubeconfig=kubeconfig(tmp_path, user={"exec": execute}))
    assert await found.headers() == {"Authorization": "Bearer fresh"}


async def test_no_kubeconfig_says_where_it_looked_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigError, match=r"no kubeconfig at .*absent.*controllerkit dev up"):
        await load_credentials(kubeconfig=tmp_path / "absent")


async def test_a_context_that_is_not_there_is_named_with_the_file(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, user={"token": "t"})
    with pytest.raises(ConfigError, match=f"kubeconfig {path}: .*nowhere"):
        await load_credentials(kubeconfig=path, context="nowhere")


async def test_a_certificate_file_that_is_missing_is_named(tmp_path: Path) -> None:
    credentials = Credentials(server="https://127.0.0.1:1", ca_file=str(tmp_path / "ca.crt"))
    with pytest.raises(ConfigError, match=r"ca\.crt"):
        credentials.ssl_context()


async def test_in_a_pod_without_a_service_account_the_missing_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(ConfigError, match=r"/var/run/secrets/kubernetes\.io/serviceaccount/token is missing"):
        await load_credentials()
