"""Where the server and the credentials come from, and what is said when they do not."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import yaml

from controllerkit.devcluster.pki import Authority
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


@pytest.mark.parity("1e/config")
async def test_server_namespace_and_token_come_from_the_current_context(tmp_path: Path) -> None:
    found = await load_credentials(kubeconfig=kubeconfig(tmp_path, user={"token": "secret"}))
    assert (found.server, found.namespace) == ("http://127.0.0.1:1", "team")
    assert await found.headers() == {"Authorization": "Bearer secret"}


async def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, user={"token": "t"})))
    assert (await load_credentials()).namespace == "team"


@pytest.mark.parity("1e/config")
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


@pytest.mark.parity("1e/config")
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


@pytest.mark.parity("1e/config")
async def test_a_renewed_certificate_is_taken_without_a_restart(tmp_path: Path) -> None:
    first, second = Authority.create("first"), Authority.create("second")
    ca_file = first.save(tmp_path)
    credentials = Credentials(server="https://127.0.0.1:1", ca_file=str(ca_file))
    before = credentials.ssl_context()
    assert credentials.ssl_context() is before
    second.save(tmp_path)
    os.utime(ca_file, (0, 1))  # whatever the file system's clock resolves
    after = credentials.ssl_context()
    assert after is not None
    assert after is not before
    assert [dict(pair[0] for pair in ca["subject"])["commonName"] for ca in after.get_ca_certs()] == ["second"]


@pytest.mark.parity("1e/config")
async def test_a_pods_token_is_read_again_after_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("token", "old"), ("ca.crt", "-"), ("namespace", "team")):
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    found = await load_credentials(service_account=tmp_path)
    assert (found.server, found.namespace) == ("https://10.0.0.1:443", "team")
    assert await found.headers() == {"Authorization": "Bearer old"}
    (tmp_path / "token").write_text("new")
    assert await found.headers() == {"Authorization": "Bearer old"}
    found.configuration._read_at -= 60.0
    assert await found.headers() == {"Authorization": "Bearer new"}
