"""``controllerkit run``: reconcilers as a process, or what they would do."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controllerkit.errors import ConfigError

if TYPE_CHECKING:
    from controllerkit.controller import Reconciler
    from controllerkit.manager import Manager

__all__ = ["CHANGES_STATUS", "RUN_HELP", "imported", "load", "maker", "operate", "run"]

CHANGES_STATUS = 3
RUN_HELP = f"""Run reconcilers until SIGTERM or Ctrl-C, or show what they would do.

TARGET is MODULE:NAME or FILE.py:NAME, where NAME is a Reconciler class, one made already, or a function without
arguments that makes one. Without :NAME it is the only Reconciler that the module defines.

--dry-run passes every object once through its reconciler and prints what would be done and why. Nothing is written:
the API server only judges every write, and the actions of a PlanningReconciler are not begun. Data of Secrets is
not shown.

Exit status: 0 done, 1 it failed (in a dry run: for one of the objects), 2 it was called wrongly, 130 interrupted;
with --exit-code, {CHANGES_STATUS} where a dry run would change anything.

Examples:

  controllerkit run examples/website.py --dry-run

  controllerkit run operators.etcd.cluster:EtcdClusterReconciler --namespace default

  controllerkit run shop.operator --leader-elect shop/shop-operator --metrics-address :8080

  controllerkit run shop.operator --dry-run --exit-code --json | jq '.objects[].writes'
"""


Targets = Annotated[list[str], typer.Argument(metavar="TARGET...", help="what to run, as MODULE:NAME")]
Namespace = Annotated[str | None, typer.Option(help="serve this namespace alone; else all")]
MetricsAddress = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="serve /metrics, /healthz and /readyz there")
]
LeaderElect = Annotated[
    str | None,
    typer.Option(metavar="[NAMESPACE/]NAME", help="act only while holding this Lease; in a Pod NAME is enough"),
]
Shard = Annotated[
    str | None, typer.Option(metavar="[NAMESPACE/]NAME", help="share the keys out with all processes of this name")
]
Kubeconfig = Annotated[
    Path | None, typer.Option(help="the file; else $KUBECONFIG, the ServiceAccount of a Pod, ~/.kube/config")
]
Context = Annotated[str | None, typer.Option(help="the kubeconfig's context, where not the current one")]


def run(
    targets: Targets,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would be done; write nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the dry run as JSON")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=f"end with {CHANGES_STATUS} where a dry run would change anything")
    ] = False,
    namespace: Namespace = None,
    metrics_address: MetricsAddress = None,
    leader_elect: LeaderElect = None,
    shard: Shard = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    log_level: Annotated[str | None, typer.Option(help="INFO if not given; WARNING in a dry run")] = None,
) -> None:
    """See ``RUN_HELP``."""
    if (as_json or exit_code) and not dry_run:
        raise ConfigError("--json and --exit-code are for a dry run; add --dry-run")

    async def plan(manager: Manager) -> int:
        return await _show_plan(manager, as_json=as_json, exit_code=exit_code)

    operate(
        targets,
        plan if dry_run else None,
        kubeconfig=kubeconfig,
        context=context,
        leader_elect=leader_elect,
        shard=shard,
        log_level=log_level or ("WARNING" if dry_run else "INFO"),
        namespace=namespace,
        metrics_address=metrics_address,
        dry_run=dry_run,
    )


def operate(
    targets: Sequence[str],
    act: Callable[[Manager], Awaitable[int]] | None = None,
    *,
    kubeconfig: Path | None,
    context: str | None,
    leader_elect: str | None,
    shard: str | None,
    log_level: str,
    **options: Any,
) -> None:
    """Makes a manager around ``targets`` and lets it run until a signal, or does ``act`` with it.

    Args:
        options: of `Manager`.
    Raises:
        typer.Exit: with the status that ``act`` gave, where it is not 0.
    """
    from controllerkit.manager import LeaderElection, Sharding
    from controllerkit.runtime import configure_logging

    configure_logging(level=log_level)
    reconcilers = [load(each) for each in targets]
    election = None if leader_elect is None else LeaderElection(**_named("--leader-elect", leader_elect))
    sharding = None if shard is None else Sharding(**_named("--shard", shard))

    async def in_loop() -> int:
        from controllerkit.client import Client
        from controllerkit.manager import Manager

        async with await Client.connect(kubeconfig=kubeconfig, context=context, user_agent="controllerkit") as client:
            manager = Manager(client, leader_election=election, sharding=sharding, preflight=True, **options)
            try:
                for each in reconcilers:
                    manager.add(each)
                if act is not None:
                    return await act(manager)
                await manager.run_until_signal()
                return 0
            finally:
                for each in reconcilers:
                    await each.aclose()

    status = asyncio.run(in_loop())
    if status:
        raise typer.Exit(status)


async def _show_plan(manager: Manager, *, as_json: bool, exit_code: bool) -> int:
    from controllerkit.controller import as_data, as_text

    previews = await manager.plan()
    data = as_data(previews)
    print(json.dumps(data, indent=2) if as_json else as_text(previews))
    if data["errors"]:
        return 1
    return CHANGES_STATUS if exit_code and data["changes"] else 0


def _named(option: str, text: str) -> dict[str, Any]:
    namespace, _, name = text.rpartition("/")
    if not name or "/" in namespace:
        raise ConfigError(f"{option} is [NAMESPACE/]NAME of a Lease, got {text!r}")
    return {"name": name, "namespace": namespace}


# -- finding the reconciler ----------------------------------------------------------------------------------------


def load(target: str) -> Reconciler[Any]:
    """The reconciler that ``MODULE:NAME`` or ``FILE.py:NAME`` names, made. Raises as `maker`, and what makes it."""
    return maker(target)()


def maker(target: str) -> Callable[[], Reconciler[Any]]:
    """What makes the reconciler that ``MODULE:NAME`` or ``FILE.py:NAME`` names, or gives the one made already.

    Raises:
        ConfigError: it cannot be imported, is not there, or is no reconciler; the message says what to write. It may
            come from the call of what is returned.
    """
    from controllerkit.controller import Reconciler

    place, _, name = target.rpartition(":") if ":" in target else (target, "", "")
    module = imported(place)
    found = getattr(module, name, None) if name else _only_one(module, place)
    if found is None:
        raise ConfigError(f"{place} has no {name}; it has {_told(_reconcilers_of(module))}")
    if isinstance(found, Reconciler):
        return lambda: found
    if not callable(found):
        raise ConfigError(
            f"{target} is a {type(found).__name__}; name a Reconciler class, or a function that makes one"
        )
    if isinstance(found, type) and not issubclass(found, Reconciler):
        raise ConfigError(f"{target} is no Reconciler; {place} has {_told(_reconcilers_of(module))}")
    if required := _required(found):
        raise ConfigError(
            f"{target} needs {', '.join(required)}; write a function without arguments that makes one, and name that"
        )

    def make() -> Reconciler[Any]:
        made = found()
        if not isinstance(made, Reconciler):
            raise ConfigError(f"{target}() gave a {type(made).__name__}, which is no Reconciler")
        return made

    return make


def _required(function: Callable[..., Any]) -> list[str]:
    """The arguments that a call must give."""
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.default is each.empty and each.kind not in optional]


def imported(place: str) -> ModuleType:
    """The module that a dotted name or a path ending in ``.py`` names.

    Raises:
        ConfigError: it is not there, or raises; the message says where.
    """
    try:
        if not place.endswith(".py"):
            if "" not in sys.path:
                sys.path.insert(0, "")  # as python -m does
            return importlib.import_module(place)
        if not Path(place).is_file():
            raise ConfigError(f"there is no file {place}")
        sys.path.insert(0, str(Path(place).parent))  # as python FILE does
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        assert spec is not None  # noqa: S101 - for a name that ends in .py there is one
        assert spec.loader is not None  # noqa: S101
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    except ConfigError:
        raise
    except Exception as error:  # whatever a module raises; of the traceback the last place is told
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if "importlib" in last.filename else f" at {last.filename}:{last.lineno}"
        raise ConfigError(f"cannot import {place}: {type(error).__name__}: {error}{where}") from error
    return module


def _reconcilers_of(module: ModuleType) -> list[str]:
    """Those that the module itself defines."""
    from controllerkit.controller import Reconciler

    return sorted(
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Reconciler)
        and value.__module__ == module.__name__
        and not any(getattr(getattr(value, each), "__isabstractmethod__", False) for each in dir(value))
    )


def _only_one(module: ModuleType, place: str) -> Any:
    names = _reconcilers_of(module)
    if len(names) != 1:
        raise ConfigError(f"which of {place}? It has {_told(names)}; write {place}:NAME")
    return getattr(module, names[0])


def _told(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "no Reconciler of its own"
