"""``python -m operators.prometheus``: what would be made of custom resources, without a cluster or against one."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controllerkit.client import Client
from controllerkit.errors import ConfigError, ControllerkitError, NotFound
from controllerkit.objects import GVK
from operators.prometheus.changes import Change, as_data, changes, colored, described
from operators.prometheus.config.options import Options
from operators.prometheus.manifests import Manifest, read
from operators.prometheus.render import INSTANCES, Cluster, Made, render, subject_of
from operators.prometheus.shown import document, masked, sorted_keys
from operators.prometheus.tables import Rejected

__all__ = ["main"]

FIELD_MANAGER = "PrometheusOperator"

_RENDER = """Print what is made of the objects in files: configurations, Secrets, ConfigMaps, Services, StatefulSets.

Secrets and ConfigMaps that objects refer to, and Namespaces whose labels are selected by, are read from the same files.
What the API server would fill in is filled in, and what it would refuse is refused, before anything is made.

examples:
  python -m operators.prometheus render manifests/
  python -m operators.prometheus render manifests/ --configuration 'Prometheus monitoring/k8s'
  python -m operators.prometheus render manifests/ --out build/rendered
  kustomize build . | python -m operators.prometheus render - --json | jq '.[].rejected'

exit status: 0, 1 where an object was refused, 2 where it was called wrongly."""

_DIFF = """Print how what is made differs: between two sets of files, from a git ref to the files, or from a cluster.

examples:
  python -m operators.prometheus diff old/ new/
  python -m operators.prometheus diff --ref main manifests/
  python -m operators.prometheus diff --cluster manifests/

--cluster asks the API server what an apply of each object would change; nothing is written.
exit status: 0 where nothing differs, 1 where something does, 2 where it was called wrongly."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operators.prometheus", description="The Prometheus operator.")
    commands = parser.add_subparsers(dest="command", required=True)
    shown: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    show = commands.add_parser("render", help="what is made of the objects in files", description=_RENDER, **shown)
    show.add_argument("paths", nargs="+", metavar="PATH", help="a file, a folder, or - for standard input")
    show.add_argument("--configuration", metavar="SUBJECT", help="print only the configuration of this one")
    show.add_argument("--out", type=Path, metavar="FOLDER", help="write a file for each object and configuration there")
    show.add_argument("--show-secrets", action="store_true", help="print what is in Secrets; --out always writes it")
    differ = commands.add_parser("diff", help="how what is made differs", description=_DIFF, **shown)
    differ.add_argument("paths", nargs="+", metavar="PATH", help="before and after; with --ref or --cluster, after")
    against = differ.add_mutually_exclusive_group()
    against.add_argument("--ref", help="before is what the paths are in this commit, branch or tag")
    against.add_argument("--cluster", action="store_true", help="before is what is in the cluster")
    differ.add_argument("--kubeconfig", help="the file; else $KUBECONFIG, the ServiceAccount of a Pod, ~/.kube/config")
    differ.add_argument("--context", help="the kubeconfig's context, where it is not the current one")
    for each in (show, differ):
        each.add_argument("--json", action="store_true", help="for programs")
        each.add_argument("--compat", action="store_true", help="repeat prometheus-operator's mistakes, too")
        each.add_argument("--no-endpoint-slices", action="store_true", help="for a cluster that has none")
        each.add_argument("--no-defaults", action="store_true", help="take the objects as they are, unchecked")
    return parser


@dataclass(frozen=True, slots=True)
class _Rendered:
    cluster: Cluster
    made: list[Made]
    invalid: dict[str, str]
    """Objects that an API server would refuse, with what it would say; nothing is made of them."""


def _rendered(manifests: Sequence[Manifest], arguments: argparse.Namespace) -> _Rendered:
    values: list[Mapping[str, Any]] = []
    invalid: dict[str, str] = {}
    for manifest in manifests:
        value = _placed(manifest.value)
        if not arguments.no_defaults and str(value.get("apiVersion")).startswith("monitoring.coreos.com/"):
            value, told = _admitted(value)
            if told:
                invalid[subject_of(value)] = f"{manifest.source}: {told}"
                continue
        values.append(value)
    cluster = Cluster.of(values)
    options = Options(
        endpoint_slices=not arguments.no_endpoint_slices,
        topology_sharding=True,
        shard_retention=True,
        compat=arguments.compat,
    )
    return _Rendered(cluster, render(cluster, options), invalid)


def _placed(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """In the namespace ``default`` where it names none."""
    metadata = value.get("metadata")
    if not isinstance(metadata, Mapping):
        return value
    return {**value, "metadata": {"namespace": "default", **metadata}}


def _admitted(value: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """With its defaults, and what is wrong of it; what is wrong is told and not filled in."""
    # The models are imported where they are needed: a second.
    from operators.prometheus.api import KINDS, judge, with_defaults

    kind = str(value.get("kind"))
    if kind not in KINDS:
        return value, ""
    try:
        filled = with_defaults(kind, value)
        violations = judge(kind, filled).violations
    except ConfigError as error:
        return value, str(error)
    return filled, "; ".join(map(str, violations))


# -- render ------------------------------------------------------------------------------------------------------


def _render(arguments: argparse.Namespace) -> int:
    found = _rendered(read(arguments.paths), arguments)
    if not any(each.get("kind") in INSTANCES for each in found.cluster.objects) and not found.invalid:
        raise ConfigError(f"there is no {', '.join(INSTANCES)} in {', '.join(arguments.paths)}; nothing is made")
    if arguments.configuration is not None:
        print(_one(found, arguments))  # noqa: T201 - what was asked for
    elif arguments.json:
        print(json.dumps(_as_data(found, secrets=arguments.show_secrets), indent=2))  # noqa: T201
    elif arguments.out is not None:
        _write(found, arguments.out)
    else:
        print(_as_text(found, secrets=arguments.show_secrets), end="")  # noqa: T201
    problems = _problems(found)
    for line in problems:
        print(line, file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


def _problems(found: _Rendered) -> list[str]:
    problems = [f"{subject} is invalid: {told}" for subject, told in found.invalid.items()]
    for each in found.made:
        refused = [each.refused] if each.refused is not None else []
        problems += [f"{each.subject}: {told}" for told in (*refused, *each.rejected.values())]
    return problems


def _shown(each: Made, found: _Rendered, *, secrets: bool) -> str:
    return each.configuration if secrets else masked(each.configuration, found.cluster.assets)


def _one(found: _Rendered, arguments: argparse.Namespace) -> str:
    for each in found.made:
        if each.subject == arguments.configuration:
            return _shown(each, found, secrets=arguments.show_secrets).rstrip("\n")
    known = ", ".join(repr(each.subject) for each in found.made) or "none"
    raise ConfigError(f"there is no {arguments.configuration!r}; there is {known}")


def _as_text(found: _Rendered, *, secrets: bool) -> str:
    pieces = []
    for each in found.made:
        pieces.append(f"# {each.subject}\n")
        pieces += [f"# left out: {line}\n" for line in each.dropped]
        if each.configuration:
            text = _shown(each, found, secrets=secrets)
            pieces.append("".join(f"#   {line}\n" for line in text.splitlines()))
        pieces += [f"---\n{document(value, secrets=secrets)}" for value in each.objects]
    return "".join(pieces)


def _as_data(found: _Rendered, *, secrets: bool) -> list[dict[str, Any]]:
    return [
        {
            "subject": each.subject,
            "configuration": _shown(each, found, secrets=secrets),
            "objects": [dict(value) for value in each.objects if secrets or value["kind"] != "Secret"],
            "rejected": {name: str(told) for name, told in sorted(each.rejected.items())},
            "dropped": list(each.dropped),
            "refused": str(each.refused) if each.refused is not None else None,
        }
        for each in found.made
    ] + [{"subject": subject, "invalid": told} for subject, told in found.invalid.items()]


def _write(found: _Rendered, folder: Path) -> None:
    """Files that hold secrets are the owner's alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in found.made:
        kind, _, place = each.subject.partition(" ")
        files = {f"{kind}-{place.replace('/', '-')}.configuration.yaml": each.configuration}
        for value in each.objects:
            metadata = value["metadata"]
            name = f"{value['kind']}-{metadata.get('namespace')}-{metadata['name']}.yaml"
            files[name] = document(value, secrets=True)
        for name, text in files.items():
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)


# -- diff --------------------------------------------------------------------------------------------------------


def _diff(arguments: argparse.Namespace) -> int:
    if arguments.cluster:
        found = asyncio.run(_against_cluster(_rendered(read(arguments.paths), arguments), arguments))
    else:
        found = _between(arguments)
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(json.dumps(as_data(found), indent=2) if arguments.json else colored(found, color=color))  # noqa: T201
    return 1 if found else 0


def _between(arguments: argparse.Namespace) -> list[Change]:
    if arguments.ref is not None:
        before, after = _at_ref(arguments.ref, arguments.paths), read(arguments.paths)
    elif len(arguments.paths) == 2:
        before, after = read(arguments.paths[:1]), read(arguments.paths[1:])
    else:
        raise ConfigError("diff takes two paths, before and after; or --ref or --cluster and the paths after")
    old, new = _rendered(before, arguments), _rendered(after, arguments)
    return changes(_texts(old), _texts(new))


def _texts(found: _Rendered) -> dict[str, str]:
    invalid = {f"{name} invalid": told for name, told in found.invalid.items()}
    return {**described(found.made, found.cluster.assets), **invalid}


def _at_ref(ref: str, paths: Sequence[str]) -> list[Manifest]:
    """What the paths are in a commit of the repository they lie in."""
    found: list[Manifest] = []
    for path in paths:
        absolute = Path(path).resolve()
        root = _git(absolute if absolute.is_dir() else absolute.parent, "rev-parse", "--show-toplevel").strip()
        commit = _git(Path(root), "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").strip()
        with tempfile.TemporaryDirectory(prefix="prometheus-diff-") as folder:
            relative = absolute.relative_to(root)
            archive = Path(folder) / "at.tar"
            _git(Path(root), "archive", f"--output={archive}", commit, "--", str(relative))
            subprocess.run(["tar", "-xf", str(archive), "-C", folder], check=True)
            archive.unlink()
            found += read([Path(folder) / relative])
    return found


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"git {words[0]} failed in {folder}: {done.stderr.strip()}")
    return done.stdout


async def _against_cluster(found: _Rendered, arguments: argparse.Namespace) -> list[Change]:
    """What an apply of each object would change; the server is asked by a dry run."""
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    async with await Client.connect(
        kubeconfig=arguments.kubeconfig, context=arguments.context, field_manager=FIELD_MANAGER
    ) as client:
        client.dry_run = True
        for each in found.made:
            for value in each.objects:
                group, _, version = value["apiVersion"].rpartition("/")
                metadata, name = value["metadata"], subject_of(value)
                kind = GVK(group, version, value["kind"])
                try:
                    live = await client.get(kind, metadata["name"], metadata.get("namespace"))
                    before[name] = document(_compared(live.to_dict()))
                except NotFound:
                    pass
                after[name] = document(_compared((await client.apply(_applied(value))).to_dict()))
    return changes(before, after)


def _applied(value: Mapping[str, Any]) -> dict[str, Any]:
    """Owners that come from files have no uid: the server would refuse the reference."""
    metadata = dict(value["metadata"])
    owners = [each for each in metadata.pop("ownerReferences", ()) if each.get("uid")]
    return {**value, "metadata": {**metadata, **({"ownerReferences": owners} if owners else {})}}


def _compared(value: Mapping[str, Any]) -> Any:
    left_out = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")
    metadata = {key: each for key, each in value["metadata"].items() if key not in left_out}
    return sorted_keys({**{key: each for key, each in value.items() if key != "status"}, "metadata": metadata})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit code is 0, 1 (refused, or differs), 2 where it was called wrongly, 130."""
    arguments = _parser().parse_args(argv)
    try:
        return _render(arguments) if arguments.command == "render" else _diff(arguments)
    except (ConfigError, Rejected) as error:
        print(f"prometheus operator: {error}", file=sys.stderr)  # noqa: T201 - the last word of a process
        return 2
    except ControllerkitError as error:
        print(f"prometheus operator: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
