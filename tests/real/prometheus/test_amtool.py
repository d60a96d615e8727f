"""Alertmanager itself loads what is made for it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from operators.prometheus import Rejected
from operators.prometheus.alertmanager import configuration
from operators.prometheus.tables import Assets
from tests.conformance.drawing import drawn
from tests.unit.prometheus.alertmanager.samples import ASSETS, MINIMAL, alertmanager, amc, drawable, notifying, schema
from tests.unit.prometheus.goldens import case, names

VERSION = "v0.25.0"
"""Of the ``prometheus-alertmanager`` package of Debian 12."""

pytestmark = pytest.mark.skipif(shutil.which("amtool") is None, reason="prometheus-alertmanager is not installed")


def loads(text: str, folder: Path) -> str:
    """What amtool says against a file; "" if nothing."""
    file = folder / "alertmanager.yaml"
    file.write_text(text)
    told = subprocess.run(["amtool", "check-config", str(file)], capture_output=True, text=True, check=False)
    return "" if told.returncode == 0 else told.stdout + told.stderr


def drawn_objects() -> Iterator[dict[str, Any]]:
    spec = drawable(schema("alertmanagerconfigs")["properties"]["spec"])
    for at, root in enumerate(drawn({"properties": {"spec": spec}}, 60)):
        yield {**amc(f"drawn-{at}"), **root}
    receiver = spec["properties"]["receivers"]["items"]["properties"]
    for kind, minimal in MINIMAL.items():
        for at, root in enumerate(drawn({"properties": {"x": receiver[kind]["items"]}}, 12)):
            if isinstance(root.get("x"), Mapping):
                yield notifying(kind, {**root["x"], **minimal}, f"{kind.lower()}-{at}")


def test_whatever_is_drawn_and_not_refused_is_loaded(tmp_path: Path) -> None:
    kinds = set()
    for each in drawn_objects():
        told = configuration(alertmanager(VERSION), [each], {}, ASSETS)
        if not told.rejected:
            assert loads(told.text, tmp_path) == "", told.text
            kinds |= {kind for kind in MINIMAL if f'"{kind}"' in json.dumps(each)}
    assert MINIMAL.keys() - kinds == {"msteamsConfigs", "msteamsv2Configs", "rocketchatConfigs"}, "newer than this one"


@pytest.mark.parametrize("name", names("alertmanager", "AddAlertmanagerConfigs", "initializeFromAlertmanagerConfig"))
def test_what_is_made_of_a_known_input_is_loaded_or_refused(name: str, tmp_path: Path) -> None:
    of = case(name)
    main = {**of["cr"], "spec": {**of["cr"]["spec"], "version": VERSION}}
    namespaces: dict[str, dict[str, str]] = {each["metadata"]["namespace"]: {} for each in of["objects"]}
    try:
        told = configuration(main, of["objects"], namespaces, Assets.of(of["secrets"], of["configmaps"]))
    except Rejected:
        return
    assert loads(told.text, tmp_path) == ""
