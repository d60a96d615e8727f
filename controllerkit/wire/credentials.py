"""Where the server is and who we are: kubeconfig, in-cluster, exec plugins.

The files are read by kubernetes-asyncio's loaders, which know every form of kubeconfig; they are imported
when first needed because they are large.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controllerkit.errors import ConfigError

__all__ = ["Credentials", "load_credentials"]

_IN_CLUSTER_ENV: Final = "KUBERNETES_SERVICE_HOST"
_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(slots=True)
class Credentials:
    """A server's address and what proves us to it; ``source`` says for people where that was found.

    Tokens are asked anew for each request from their source (file, exec plugin), which caches them itself;
    certificate files are read again when they change on disk.
    """

    server: str
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    server_name: str | None = None
    token: str | None = None
    namespace: str = "default"
    proxy: str | None = None
    source: str = "this process"
    configuration: Any = None
    _ssl: ssl.SSLContext | None = None
    _ssl_stamp: tuple[float, ...] = ()

    async def headers(self) -> dict[str, str]:
        """The ``Authorization`` header, or nothing.

        Raises:
            ConfigError: the token's source failed.
        """
        if self.token is not None:
            return {"Authorization": f"Bearer {self.token}"}
        if self.configuration is None:
            return {}
        try:
            value = await self.configuration.get_api_key_with_prefix("BearerToken")
        except Exception as error:  # the loaders and exec plugins raise whatever they met
            raise ConfigError(f"the credentials for {self.server} could not be refreshed: {error}") from error
        return {"Authorization": value} if value else {}

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS settings, made anew when a certificate file changed; None for plain HTTP.

        Raises:
            ConfigError: a file is missing or holds no certificate or key.
        """
        if not self.server.startswith("https:"):
            return None
        try:
            files = [path for path in (self.ca_file, self.cert_file, self.key_file) if path]
            stamp = tuple(Path(path).stat().st_mtime for path in files)
            if self._ssl is None or stamp != self._ssl_stamp:
                self._ssl, self._ssl_stamp = self._make_ssl(), stamp
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"the TLS files for {self.server} cannot be used ({', '.join(files)}): {error}"
            ) from error
        return self._ssl

    def _make_ssl(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


async def load_credentials(
    *, kubeconfig: str | Path | None = None, context: str | None = None, service_account: Path = _SERVICE_ACCOUNT
) -> Credentials:
    """Finds the server as kubectl and in-cluster clients do.

    Order: the ``kubeconfig`` given, ``$KUBECONFIG``, the Pod's ServiceAccount (the files in ``service_account``),
    ``~/.kube/config``.

    Raises:
        ConfigError: none of these can be used; the message names the file and the entry.
    """
    explicit = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG")
    if not explicit and os.environ.get(_IN_CLUSTER_ENV):
        return _in_cluster(service_account)
    path = explicit or str(Path.home() / ".kube" / "config")
    if not any(Path(part).is_file() for part in path.split(os.pathsep)):
        raise ConfigError(
            f"no kubeconfig at {path} and not inside a Pod ({_IN_CLUSTER_ENV} is not set); "
            "set KUBECONFIG, or start a cluster with `controllerkit dev up`"
        )
    return await _from_kubeconfig(path, context)


async def _from_kubeconfig(path: str, context: str | None) -> Credentials:
    def loaders() -> tuple[Any, Any]:
        from kubernetes_asyncio import config
        from kubernetes_asyncio.client import Configuration

        return config, Configuration

    config, configuration_class = await asyncio.to_thread(loaders)
    configuration = configuration_class()
    try:
        await config.load_kube_config(config_file=path, context=context, client_configuration=configuration)
        _, active = config.list_kube_config_contexts(config_file=path)
    except Exception as error:  # ConfigException, YAML and file errors alike
        raise ConfigError(f"kubeconfig {path}: {error}") from error
    namespace = (active or {}).get("context", {}).get("namespace") or "default"
    return Credentials(
        server=configuration.host.rstrip("/"),
        ca_file=configuration.ssl_ca_cert,
        cert_file=configuration.cert_file,
        key_file=configuration.key_file,
        verify=configuration.verify_ssl,
        server_name=configuration.tls_server_name,
        namespace=namespace,
        proxy=configuration.proxy,
        source=f"kubeconfig {path}",
        configuration=configuration,
    )


def _in_cluster(folder: Path) -> Credentials:
    host, port = os.environ[_IN_CLUSTER_ENV], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    token_file, ca_file = folder / "token", folder / "ca.crt"
    for path in (token_file, ca_file):
        if not path.is_file():
            raise ConfigError(f"{_IN_CLUSTER_ENV} is set but {path} is missing; does the Pod have a ServiceAccount?")
    namespace_file = folder / "namespace"
    return Credentials(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca_file=str(ca_file),
        namespace=namespace_file.read_text().strip() if namespace_file.is_file() else "default",
        source=f"the ServiceAccount in {folder}",
        configuration=_TokenFile(token_file),
    )


class _TokenFile:
    """A projected ServiceAccount token, read again once a minute (client-go's period)."""

    PERIOD_S: Final = 60.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self._read_at = float("-inf")

    async def get_api_key_with_prefix(self, _: str) -> str:
        now = asyncio.get_running_loop().time()
        if now - self._read_at >= self.PERIOD_S:
            self._token, self._read_at = self._path.read_text().strip(), now
        return f"Bearer {self._token}"
