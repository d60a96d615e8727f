"""What is written, and passes the checks, is taken by Prometheus: promtool reads it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from operators.prometheus import Rejected, render_case
from operators.prometheus.config.options import Options
from operators.prometheus.config.own_checks import check_own_sections
from operators.prometheus.config.selection import CHECKS, instance_scope
from operators.prometheus.tables import Assets, to_yaml
from tests.unit.prometheus.goldens import Loader, case, names

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

DEBIAN: Final = "v2.42.0"
SERVER, AGENT = "GenerateServerConfiguration", "GenerateAgentConfiguration"

UNBUILT: Final = frozenset(("kubernetes_sd_configs", "consul_sd_configs", "nomad_sd_configs", "kuma_sd_configs"))
"""Kinds of discovery that Debian leaves out of its Prometheus."""

DEFAULTS: Final = {"scrapeInterval": "30s", "evaluationInterval": "30s"}
"""Of the definitions, which the inputs of the cases lack."""


def debian() -> str:
    """Debian's promtool; skips where there is none of 2.42."""
    found = shutil.which("promtool")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False) if found else None
    if found is None or told is None or "version 2.42" not in told.stdout + told.stderr:
        pytest.skip("no promtool 2.42; python testbed/system.py --prometheus installs Debian's")
    return found


def written(function: str, version: str, folder: Path, *, without: Iterable[str] = ()) -> list[Path]:
    """The configurations of all cases of a function, for one version."""
    files = []
    for name in [*names("prometheus", function), *names("prometheus-extra", function)]:
        try:
            text = render_case(defaulted(name), version)
        except Rejected:
            continue
        file = folder / name.replace("/", "+").replace(".json", ".yaml")
        file.write_text(to_yaml(pruned(yaml.load(text, Loader), frozenset(without))) if without else text)
        files.append(file)
    return files


def defaulted(name: str) -> dict[str, Any]:
    of = case(name)
    return {**of, "cr": {**of["cr"], "spec": {**DEFAULTS, **of["cr"]["spec"]}}}


def checked(file: Path, version: str) -> bool:
    """Whether the product would take the inputs that the file was written of."""
    of = defaulted(file.name.replace("+", "/").replace(".yaml", ".json"))
    cr = {**of["cr"], "spec": {**of["cr"]["spec"], "version": version}}
    scope = instance_scope(cr, Assets.of(of["secrets"], of["configmaps"]), Options())
    try:
        check_own_sections(cr, scope)
        for target in of["objects"]:
            CHECKS[target["kind"]](target, cr, scope)
    except Rejected:
        return False
    return True


def pruned(value: Any, keys: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: pruned(each, keys) for key, each in value.items() if key not in keys}
    return [pruned(each, keys) for each in value] if isinstance(value, list) else value


def refused(promtool: str, files: Sequence[Path], *flags: str) -> dict[Path, str]:
    """What promtool says against those that it does not take."""
    count = max(1, (os.cpu_count() or 1))
    parts = [files[start::count] for start in range(count) if files[start::count]]

    def check(part: Sequence[Path]) -> str:
        command = [promtool, "check", "config", "--syntax-only", *flags, *map(str, part)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.count("Checking ") == len(part), done.stderr
        return done.stderr

    with ThreadPoolExecutor(count) as pool:
        told = "".join(pool.map(check, parts))
    found = re.findall(r"FAILED: parsing YAML file (\S+): (.*?)(?=\n *FAILED:|\Z)", told, re.DOTALL)
    return {Path(file): rule for file, rule in found}


@pytest.mark.parametrize(("function", "flags"), [(SERVER, ()), (AGENT, ("--agent",))])
def test_prometheus_2_takes_what_passes_the_checks(function: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    promtool = debian()
    files = written(function, DEBIAN, tmp_path, without=UNBUILT)
    found = refused(promtool, files, *flags)
    assert {file.name: rule for file, rule in found.items() if checked(file, DEBIAN)} == {}
    assert len(files) > 5 * len(found)
