"""``controllerkit crds``: models → CustomResourceDefinitions on disk, or whether those still say what models do."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from controllerkit.cli.run import imported
from controllerkit.errors import ConfigError

if TYPE_CHECKING:
    from controllerkit.schema import Resource
    from controllerkit.schema.compatibility import Change

__all__ = ["CRDS_HELP", "crds", "models_of", "rendered"]

CRDS_HELP = """Write the CustomResourceDefinitions of Resource classes, one file per kind: PLURAL.yaml.

TARGET is MODULE or FILE.py, for every Resource that it defines; a package, for those it imports from its own modules;
MODULE:CLASS for one. Classes of one kind and different versions become one definition. Whatever breaks objects or
clients of the file that is replaced is told on standard error.

Where all versions of a kind but one have `to_hub` and `from_hub`, the definition is converted by a webhook, whose
Service --conversion-service names; caBundle is set by who serves it.

--check writes nothing. It fails, with a diff, where a file is not what the models say; where a change breaks objects
or clients of before (a field removed, a bound tightened, an enum's value gone); and where versions that nothing
converts lose each other's fields. --against names the folder that holds what users have installed, such as the
definitions of the last release; without it, that is the folder of --out.

Exit status: 0 done, 1 a check failed, 2 called wrongly, or a model has no structural schema (the message names model,
field and cure).

Examples:

  controllerkit crds operators.etcd.api operators.prometheus.api

  controllerkit crds shop/api.py:Order shop/api.py:OrderV1beta1 --out deploy/crds

  controllerkit crds alarms.api --conversion-service alarms/webhooks

  controllerkit crds operators.etcd.api --check

  controllerkit crds shop.api --check --against ../release-1.4/crds
"""

WIDTH: Final = 120


def crds(
    targets: Annotated[list[str], typer.Argument(metavar="TARGET...", help="whose, as MODULE or MODULE:CLASS")],
    out: Annotated[Path, typer.Option(help="the folder of the files")] = Path("crds"),
    conversion_service: Annotated[
        str | None, typer.Option(metavar="NAMESPACE/NAME[:PORT]", help="the Service of the webhook that converts")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="write nothing; fail on drift and breaking changes")] = False,
    against: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="definitions that users have; else those of --out")
    ] = None,
) -> None:
    """See ``CRDS_HELP``."""
    files = _files(targets, conversion_service)
    failed = False
    for name, (definition, text) in files.items():
        path = out / name
        changes = _changes(definition, (against or out) / name)
        for change in changes:
            print(f"{path}: {change}", file=sys.stderr)
        if check:
            drift = _drift(path, text)
            sys.stdout.write(drift)
            failed |= bool(drift) or any(change.breaking for change in changes)
        elif not path.is_file() or path.read_text() != text:
            _write(path, text)
            print(f"{path} written")
    if failed:
        print("controllerkit: the definitions are not in order; see above", file=sys.stderr)
        raise typer.Exit(1)


def models_of(target: str) -> list[type[Resource]]:
    """The classes that ``MODULE`` or ``MODULE:CLASS`` names.

    Raises:
        ConfigError: there is no such module or class, or it declares no kind.
    """
    from controllerkit.schema import Resource

    place, _, name = target.rpartition(":") if ":" in target else (target, "", "")
    module = imported(place)
    own = _own(module)
    if not name:
        if not own:
            raise ConfigError(f"{place} defines no Resource with group and version; name the module that does")
        return own
    found = getattr(module, name, None)
    if not isinstance(found, type) or not issubclass(found, Resource):
        shown = ", ".join(model.__name__ for model in own) or "no Resource of its own"
        raise ConfigError(f"{target} is no Resource class; {place} has {shown}")
    found.resource_kind()
    return [found]


def _own(module: ModuleType) -> list[type[Resource]]:
    from controllerkit.schema import Resource

    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Resource)
        and f"{value.__module__}.".startswith(f"{module.__name__}.")
        and _declared(value)
    ]


def _declared(model: type[Resource]) -> bool:
    try:
        model.resource_kind()
    except ConfigError:
        return False
    return True


def _files(targets: Sequence[str], service: str | None = None) -> dict[str, tuple[dict[str, Any], str]]:
    """The definition and its text, by file name."""
    from controllerkit.schema import custom_resource_definition

    kinds: dict[tuple[str, str], list[type[Resource]]] = {}
    for target in targets:
        for model in models_of(target):
            kind = model.resource_kind()
            versions = kinds.setdefault((kind.plural, kind.group), [])
            if model not in versions:
                versions.append(model)
    files: dict[str, tuple[dict[str, Any], str]] = {}
    for (plural, _group), models in kinds.items():
        definition = custom_resource_definition(*models, conversion=_conversion(models, service))
        name = f"{plural}.yaml"
        if name in files:
            groups = f"{files[name][0]['spec']['group']} and {definition['spec']['group']}"
            raise ConfigError(f"{groups} both have {plural}; write them with two calls and --out folders")
        files[name] = definition, rendered(definition, [model.__name__ for model in models])
    return files


def _conversion(models: Sequence[type[Resource]], service: str | None) -> dict[str, Any] | None:
    """The stanza, where all versions but the hub say how they are converted."""
    converted = [each for each in models if callable(getattr(each, "to_hub", None))]
    if len(models) < 2 or len(converted) != len(models) - 1:
        return None
    if service is None:
        raise ConfigError(
            f"{converted[0].__name__} converts by a webhook; name its Service: --conversion-service NAMESPACE/NAME"
        )
    from controllerkit.webhook import Reached, conversion

    place, _, port = service.partition(":")
    namespace, _, name = place.partition("/")
    if not namespace or not name or not (port or "443").isdecimal():
        raise ConfigError(f"--conversion-service is NAMESPACE/NAME or NAMESPACE/NAME:PORT, got {service!r}")
    return conversion(Reached(service=name, namespace=namespace, port=int(port or "443")))


def rendered(definition: dict[str, Any], models: Sequence[str]) -> str:
    """The file: the same definition gives the same bytes."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Writes a value in full wherever it stands, and indents lists."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, indentless=False)

    body = yaml.dump(definition, Dumper=Plain, sort_keys=False, width=WIDTH, allow_unicode=True)
    return f"# Made of {', '.join(sorted(models))} by `controllerkit crds`; change the model, not this file.\n{body}"


def _changes(definition: dict[str, Any], before: Path) -> list[Change]:
    from controllerkit.schema.compatibility import compare_definitions, compare_versions

    old = _read(before) if before.is_file() else None
    return [*(compare_definitions(old, definition) if old else ()), *compare_versions(definition)]


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        value = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no YAML: {str(error).splitlines()[0]}; put it right or remove it") from error
    if not isinstance(value, dict) or value.get("kind") != "CustomResourceDefinition":
        raise ConfigError(f"{path} is no CustomResourceDefinition; move it away, or choose another --out")
    return value


def _drift(path: Path, text: str) -> str:
    before = path.read_text() if path.is_file() else ""
    return "".join(_diff(before, text, str(path)))


def _diff(before: str, after: str, path: str) -> Iterator[str]:
    lines = (before.splitlines(keepends=True), after.splitlines(keepends=True))
    return difflib.unified_diff(*lines, fromfile=path, tofile=f"{path} by the models")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; choose another --out") from error
