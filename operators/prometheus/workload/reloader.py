"""The config-reloader beside each program: expands the configuration, and tells the program of changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from operators.prometheus.workload.objects import pruned
from operators.prometheus.workload.settings import Settings

__all__ = ["CONTAINER_SECURITY", "field_env", "reloader"]

PORT: Final = 8080
INIT_PORT: Final = 8081
CONTAINER_SECURITY: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def field_env(name: str, path: str) -> dict[str, Any]:
    """A variable that holds a field of the Pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def reloader(
    spec: Mapping[str, Any],
    settings: Settings,
    *,
    mounts: Sequence[Mapping[str, Any]],
    reload: Sequence[str] = (),
    config: tuple[str, str] | None = None,
    watched: Sequence[str] = (),
    web_config: str = "",
    env: Sequence[Mapping[str, Any]] = (),
    once: bool = False,
) -> dict[str, Any]:
    """The container; with ``once`` the one that runs before the others, and ends.

    Args:
        reload: flags that say how the program is told.
        config: the file to read, and the one to write with variables of the environment filled in.
        web_config: path of a web configuration that holds for the reloader, too.
        env: beside ``POD_NAME``.
    """
    port = INIT_PORT if once else PORT
    local = bool(spec.get("listenLocal")) and not once
    args = ["--watch-interval=0"] if once else []
    args.append(f"--listen-address={settings.localhost if local else ''}:{port}")
    if web_config:
        args.append(f"--web-config-file={web_config}")
    args += [] if once else reload
    if config:
        args += [f"--config-file={config[0]}", f"--config-envsubst-file={config[1]}"]
    args += [f"--watched-dir={each}" for each in watched]
    if spec.get("logLevel") not in (None, "", "info"):
        args.append(f"--log-level={spec['logLevel']}")
    if spec.get("logFormat") not in (None, "", "logfmt"):
        args.append(f"--log-format={spec['logFormat']}")
    name = "reloader-init" if once else "reloader-web"
    return pruned(
        {
            "name": "init-config-reloader" if once else "config-reloader",
            "image": settings.reloader_image,
            "imagePullPolicy": spec.get("imagePullPolicy"),
            "command": ["/bin/prometheus-config-reloader"],
            "args": args,
            "env": [field_env("POD_NAME", "metadata.name"), *env],
            "ports": [] if local else [{"name": name, "containerPort": port, "protocol": "TCP"}],
            "volumeMounts": list(mounts),
            "resources": _resources(settings),
            "securityContext": dict(CONTAINER_SECURITY),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            **_probes(settings, web_config, enabled=settings.reloader_probes and not once and not local),
        }
    )


def _resources(settings: Settings) -> dict[str, Any]:
    kinds = {"cpu": settings.reloader_cpu, "memory": settings.reloader_memory}
    return {
        part: wanted
        for at, part in enumerate(("requests", "limits"))
        if (wanted := {kind: amount[at] for kind, amount in kinds.items() if amount[at] not in ("", "0")})
    }


def _probes(settings: Settings, web_config: str, *, enabled: bool) -> dict[str, Any]:
    if not enabled:
        return {}
    probe = {"httpGet": {"path": "/healthz", "port": "reloader-web", "scheme": "HTTPS" if web_config else "HTTP"}}
    return {"livenessProbe": probe, "readinessProbe": probe}
