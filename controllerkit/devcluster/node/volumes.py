"""Volumes: which folder of this machine stands behind each, and the files the API fills them with."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import Any, Final

from controllerkit.devcluster.node.environment import (
    ConfigMissing,
    PodFacts,
    Sources,
    expand,
    field_value,
    resource_value,
)
from controllerkit.devcluster.node.sandbox import Mount

__all__ = [
    "FileData",
    "TokenRequest",
    "VolumeNotReady",
    "is_filled",
    "local_folder",
    "mounts_of",
    "payload",
    "token_requests",
    "write_payload",
]

MODE_DEFAULT: Final = 0o644
TOKEN_LIFETIME_DEFAULT_S: Final = 3600
_DATA: Final = "..data"


class VolumeNotReady(ConfigMissing):
    """A volume cannot be mounted yet; the message says what it waits for."""


@dataclass(frozen=True, slots=True)
class FileData:
    """One file of a volume that the API fills."""

    data: bytes
    mode: int = MODE_DEFAULT


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A ServiceAccount token that a projected volume asks for; ``audience`` "" is the API server's."""

    audience: str
    expiration_s: int


Tokens = Mapping[TokenRequest, str]


def is_filled(volume: Mapping[str, Any]) -> bool:
    """Whether the volume's files come from the API."""
    return any(volume.get(kind) for kind in ("secret", "configMap", "downwardAPI", "projected"))


def token_requests(spec: Mapping[str, Any]) -> frozenset[TokenRequest]:
    """Every token the Pod's projected volumes ask for."""
    return frozenset(
        _token_request(source["serviceAccountToken"])
        for volume in spec.get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
        if source.get("serviceAccountToken")
    )


def _token_request(source: Mapping[str, Any]) -> TokenRequest:
    return TokenRequest(source.get("audience") or "", source.get("expirationSeconds") or TOKEN_LIFETIME_DEFAULT_S)


def payload(volume: Mapping[str, Any], facts: PodFacts, sources: Sources, tokens: Tokens) -> dict[str, FileData]:
    """The files of a volume for which `is_filled` holds, by path inside it.

    A token the server did not issue is left out.

    Raises:
        VolumeNotReady: a Secret, ConfigMap or key that is not optional is missing.
    """
    if secret := volume.get("secret"):
        return _keys({**secret, "name": secret.get("secretName")}, "secret", facts, sources, _mode(secret))
    if config_map := volume.get("configMap"):
        return _keys(config_map, "configmap", facts, sources, _mode(config_map))
    if downward := volume.get("downwardAPI"):
        return _downward(downward, facts, _mode(downward))
    projected = volume.get("projected") or {}
    mode = _mode(projected)
    files: dict[str, FileData] = {}
    for source in projected.get("sources") or ():
        if secret := source.get("secret"):
            files |= _keys(secret, "secret", facts, sources, mode)
        elif config_map := source.get("configMap"):
            files |= _keys(config_map, "configmap", facts, sources, mode)
        elif downward := source.get("downwardAPI"):
            files |= _downward(downward, facts, mode)
        elif token := source.get("serviceAccountToken"):
            if issued := tokens.get(_token_request(token)):
                files[token["path"]] = FileData(issued.encode(), mode)
        else:
            raise VolumeNotReady(f"volume {volume['name']!r} projects a source of no known kind: {', '.join(source)}")
    return files


def _mode(value: Mapping[str, Any]) -> int:
    return MODE_DEFAULT if value.get("defaultMode") is None else int(value["defaultMode"])


def _keys(reference: Mapping[str, Any], what: str, facts: PodFacts, sources: Sources, mode: int) -> dict[str, FileData]:
    name, optional = reference.get("name") or "", bool(reference.get("optional"))
    data = sources.secret_data(name) if what == "secret" else sources.config_map_data(name)
    if data is None and not optional:
        raise VolumeNotReady(f'{what} "{name}" not found')
    data = data or {}
    items = reference.get("items")
    if not items:
        return {key: FileData(value, mode) for key, value in data.items()}
    files = {}
    for item in items:
        if item["key"] in data:
            files[item["path"]] = FileData(data[item["key"]], item.get("mode") or mode)
        elif not optional:
            raise VolumeNotReady(f'{what} "{facts.pod.namespace}/{name}" has no key {item["key"]!r}')
    return files


def _downward(value: Mapping[str, Any], facts: PodFacts, mode: int) -> dict[str, FileData]:
    files = {}
    for item in value.get("items") or ():
        if reference := item.get("fieldRef"):
            text = field_value(reference["fieldPath"], facts)
        else:
            reference = item["resourceFieldRef"]
            text = resource_value(reference, _container(facts, reference.get("containerName") or ""), facts)
        files[item["path"]] = FileData(text.encode(), item.get("mode") or mode)
    return files


def _container(facts: PodFacts, name: str) -> Mapping[str, Any]:
    containers: Iterable[Mapping[str, Any]] = facts.pod.spec.get("containers") or ()
    return next((c for c in containers if c["name"] == name), {})


def write_payload(folder: Path, files: Mapping[str, FileData]) -> bool:
    """Makes ``folder`` hold exactly ``files``; whether anything had to change.

    All files change in one step: they are links through ``..data``, which is replaced by a rename, as the
    kubelet does it. Programs that watch for that (inotify on the folder) notice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / _DATA
    old = folder / link.readlink() if link.is_symlink() else None
    if old is not None and _holds(old, files):
        return False
    fresh = folder / f"..{token_hex(6)}"
    fresh.mkdir()
    for path, file in files.items():
        target = fresh / _inside(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.data)
        target.chmod(file.mode)
    swap = folder / "..data_tmp"
    swap.unlink(missing_ok=True)
    swap.symlink_to(fresh.name)
    swap.rename(link)
    names = {PurePosixPath(path).parts[0] for path in files}
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"{_DATA}/{name}")
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _holds(folder: Path, files: Mapping[str, FileData]) -> bool:
    present = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return present.keys() == files.keys() and all(
        path.read_bytes() == files[name].data and path.stat().st_mode & 0o7777 == files[name].mode
        for name, path in present.items()
    )


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise VolumeNotReady(f"the path {path!r} leads out of its volume")
    return path


def local_folder(volume: Mapping[str, Any], own: Path, claimed: Path | None) -> Path:
    """The folder or file behind a volume that is not filled from the API, made where it is to be made.

    ``own`` is the Pod's folder for this volume, ``claimed`` what its PersistentVolumeClaim leads to.

    Raises:
        VolumeNotReady: it is not there, or the kind of volume is not supported.
    """
    if claimed is not None:
        if not claimed.is_dir():
            raise VolumeNotReady(f"the folder {claimed} of volume {volume['name']!r} does not exist")
        return claimed
    if volume.get("emptyDir") is not None:
        own.mkdir(parents=True, exist_ok=True)
        return own
    if host_path := volume.get("hostPath"):
        return _host_path(Path(host_path["path"]), host_path.get("type") or "")
    kinds = ", ".join(sorted(key for key in volume if key != "name"))
    raise VolumeNotReady(f"volume {volume['name']!r} is of a kind this node does not mount: {kinds}")


def _host_path(path: Path, kind: str) -> Path:
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch()
    wrong = not path.exists() or (kind == "Directory" and not path.is_dir()) or (kind == "File" and not path.is_file())
    if wrong:
        raise VolumeNotReady(f"hostPath type check failed: {path} is not a {kind or 'path that exists'}")
    return path


def mounts_of(
    container: Mapping[str, Any], volumes: Mapping[str, Path], filled: frozenset[str], values: Mapping[str, str]
) -> list[Mount]:
    """The container's mounts; ``filled`` names the volumes the API fills, which are read-only.

    Raises:
        VolumeNotReady: a ``volumeMount`` names no volume, or its subPath leads nowhere.
    """
    mounts = []
    for mount in container.get("volumeMounts") or ():
        name = mount["name"]
        if name not in volumes:
            raise VolumeNotReady(f"volumeMount {mount['mountPath']} names the volume {name!r}, which the Pod has not")
        source = volumes[name]
        below = mount.get("subPath") or expand(mount.get("subPathExpr") or "", values)
        if below:
            source = _sub_path(source, below, create=name not in filled)
        mounts.append(Mount(source, mount["mountPath"], bool(mount.get("readOnly")) or name in filled))
    return mounts


def _sub_path(base: Path, below: str, *, create: bool) -> Path:
    path = base / _inside(below)
    if create and not path.exists():
        path.mkdir(parents=True)
    if not path.exists():
        raise VolumeNotReady(f"the subPath {below!r} does not exist in its volume")
    resolved = path.resolve()
    if not resolved.is_relative_to(base.resolve()):
        raise VolumeNotReady(f"the subPath {below!r} leads out of its volume")
    return resolved
