"""containerd: its configuration, and its start inside the node."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from controllerkit.devcluster.full.cni import PLUGIN_FOLDERS
from controllerkit.devcluster.full.layout import Addresses, Folders
from controllerkit.devcluster.full.nodespace import NodeSpace
from controllerkit.devcluster.process import ChildProcess, run_program
from controllerkit.errors import DevClusterError

__all__ = ["ADDRESS", "Containerd", "containerd_config", "registry_hosts"]

ADDRESS: Final = "/run/containerd/containerd.sock"
"""As the node sees it."""

KUBERNETES_NAMESPACE: Final = "k8s.io"
_OVERLAY_MAGIC: Final = "overlay"

_CONFIG: Final = """\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{address}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE a score cannot be lowered, and runc then fails with no word about why.
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{registries}"
"""


def containerd_config(*, pause: str, networks: Path, registries: Path, plugins: Path, snapshotter: str) -> str:
    """The configuration as TOML. ``pause`` is the sandbox's image; folders as the node sees them."""
    return _CONFIG.format(
        address=ADDRESS,
        pause=pause,
        networks=networks,
        registries=registries,
        plugins=plugins,
        snapshotter=snapshotter,
    )


def registry_hosts(url: str) -> str:
    """``hosts.toml`` for every registry name: all pulls go to ``url`` and nowhere else."""
    return f'server = "{url}"\n\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n'


def snapshotter_for(folder: Path) -> str:
    """overlayfs, or plain copies where ``folder`` is itself on an overlay, which cannot be stacked so."""
    kind = run_program(["stat", "--file-system", "--format=%T", str(folder)]).strip()
    return "native" if kind.startswith(_OVERLAY_MAGIC) else "overlayfs"


class Containerd:
    """The container engine of one node.

    Expected flow:
        ``start``, ``wait_ready``; it ends with the node.
    """

    def __init__(self, *, folders: Folders, addresses: Addresses, space: NodeSpace, pause: str) -> None:
        self._folders = folders
        self._addresses = addresses
        self._space = space
        self._pause = pause
        self.process = ChildProcess(
            "containerd",
            ["containerd", "--config", str(folders.config / "containerd.toml")],
            log=folders.logs / "containerd.log",
            cure="look for the first line with level=error or fatal",
            inside=space,
        )

    def start(self) -> None:
        """Writes the configuration and starts the daemon."""
        plugins = next((folder for folder in PLUGIN_FOLDERS if folder.is_dir()), None)
        if plugins is None:
            raise DevClusterError("no CNI plugins on this machine; install containernetworking-plugins")
        registries = self._folders.config / "registries"
        (registries / "_default").mkdir(parents=True, exist_ok=True)
        hosts = registry_hosts(f"http://127.0.0.1:{self._addresses.registry_port}")
        (registries / "_default" / "hosts.toml").write_text(hosts)
        config = containerd_config(
            pause=self._pause,
            networks=self._folders.config / "cni",
            registries=registries,
            plugins=plugins,
            snapshotter=snapshotter_for(self._folders.containerd),
        )
        (self._folders.config / "containerd.toml").write_text(config)
        self.process.start()

    async def wait_ready(self) -> None:
        """Until its socket is there, which it makes when its plugins are loaded.

        Raises:
            DevClusterError: it ended, or took too long.
        """

        async def probe() -> bool:
            # The socket is in a folder that only the node's mount namespace has.
            return Path(f"/proc/{self._space.pid}/root{ADDRESS}").exists()

        await self.process.wait_ready(probe, what="its socket appears", timeout_s=30.0)

    def load_archive(self, archive: Path) -> None:
        """Imports an image archive (``docker save`` or OCI). Blocks for the time of copying and unpacking it.

        Raises:
            DevClusterError: it is no such archive.
        """
        command = ["ctr", "--address", ADDRESS, "--namespace", KUBERNETES_NAMESPACE, "images", "import", str(archive)]
        run_program(command, inside=self._space, timeout_s=300.0)
