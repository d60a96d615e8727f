"""``controllerkit crds``: files that are what the models say, and what changed in them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import typer
import yaml

from controllerkit.cli.crds import crds, models_of
from controllerkit.errors import ConfigError
from operators.prometheus.api import KINDS
from tests.unit.cli.test_cli import controllerkit

ROOT = Path(__file__).parents[3]

FIRST = '''
from controllerkit.schema import ApiModel, Resource
from pydantic import Field


class Spec(ApiModel):
    size: int = Field(default=1, le=9)
    color: str = ""


class Website(Resource, group="example.dev", version="v1", storage=True):
    """A website."""

    spec: Spec
'''
OTHER_VERSION = """
class OldSpec(ApiModel):
    size: int = 1


class OldWebsite(Resource, group="example.dev", version="v1beta1", kind="Website", storage=False):
    spec: OldSpec
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "shop_api.py"
    path.write_text(FIRST)
    return path


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "shop_api", raising=False)


def run(module: Path, *, check: bool = False, against: Path | None = None) -> int:
    try:
        crds([str(module)], out=module.parent / "crds", check=check, against=against)
    except typer.Exit as done:
        return done.exit_code
    return 0


def test_a_definition_is_written_once_and_is_then_in_order(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(module, check=True) == 1, "there is no file yet"
    assert "+  name: websites.example.dev\n" in capsys.readouterr().out
    assert run(module) == 0
    path = module.parent / "crds" / "websites.yaml"
    assert capsys.readouterr().out == f"{path} written\n"
    assert yaml.safe_load(path.read_text())["metadata"]["name"] == "websites.example.dev"
    assert (run(module), run(module, check=True)) == (0, 0)
    assert capsys.readouterr() == ("", "")


def test_drift_is_shown_as_a_diff(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(module)
    module.write_text(FIRST.replace("A website.", "A page."))
    capsys.readouterr()
    assert run(module, check=True) == 1
    shown = capsys.readouterr()
    assert "-          description: A website.\n+          description: A page.\n" in shown.out
    assert shown.err == "controllerkit: the definitions are not in order; see above\n"


def test_a_breaking_change_is_told_when_it_is_written_and_fails_a_check(
    module: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(module)
    released = module.parent / "released"
    shutil.copytree(module.parent / "crds", released)
    module.write_text(FIRST.replace("le=9", "le=8").replace('    color: str = ""\n', ""))
    capsys.readouterr()
    for how in ({"check": True}, {}, {"check": True, "against": released}):
        status = run(module, **how)
        assert status == (1 if how else 0)
        told = capsys.readouterr().err
        assert "breaking: v1.spec.size: bound-tightened: maximum is 8 now, before 9" in told
        assert "breaking: v1.spec.color: field-removed: its values are dropped" in told
    assert run(module, check=True) == 0, "the file is the new one, and nobody has said that users have another"


def test_a_warning_alone_fails_nothing(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(module)
    released = module.parent / "released"
    (module.parent / "crds").rename(released)
    module.write_text(FIRST.replace("default=1", "default=2"))
    run(module)
    capsys.readouterr()
    assert run(module, check=True, against=released) == 0
    assert "warning: v1.spec.size: default-changed: 1 was filled in, 2 is now" in capsys.readouterr().err


def test_versions_that_lose_each_others_fields_fail_a_check(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module.write_text(FIRST + OTHER_VERSION)
    assert run(module) == 0
    assert [
        each["name"]
        for each in yaml.safe_load((module.parent / "crds" / "websites.yaml").read_text())["spec"]["versions"]
    ] == ["v1", "v1beta1"]
    capsys.readouterr()
    assert run(module, check=True) == 1
    assert "v1.spec.color: version-loses: v1beta1 does not hold it as it is" in capsys.readouterr().err


def test_versions_that_say_how_they_convert_are_converted_by_a_webhook(tmp_path: Path) -> None:
    target = str(ROOT / "examples" / "alarms.py")
    with pytest.raises(ConfigError, match=r"AlarmV1 converts by a webhook; name its Service: --conversion-service"):
        crds([target], out=tmp_path)
    with pytest.raises(ConfigError, match=r"NAMESPACE/NAME or NAMESPACE/NAME:PORT, got 'webhooks'"):
        crds([target], out=tmp_path, conversion_service="webhooks")
    crds([target], out=tmp_path, conversion_service="ops/webhooks:8443")
    made = yaml.safe_load((tmp_path / "alarms.yaml").read_text())
    service = {"name": "webhooks", "namespace": "ops", "path": "/convert", "port": 8443}
    assert made["spec"]["conversion"] == {
        "strategy": "Webhook",
        "webhook": {"clientConfig": {"service": service}, "conversionReviewVersions": ["v1"]},
    }
    crds([target], out=tmp_path, conversion_service="ops/webhooks:8443", check=True)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere_at_all", "cannot import nowhere_at_all"),
        ("controllerkit.errors", "controllerkit.errors defines no Resource with group and version"),
        ("operators.etcd.api:EtcdClusterSpec", "is no Resource class; operators.etcd.api has EtcdCluster"),
        ("operators.etcd.api:Nothing", "is no Resource class"),
    ],
)
def test_a_target_that_is_no_model_is_named(target: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        crds([target], out=tmp_path)


def test_a_package_is_the_kinds_it_imports_from_its_own_modules() -> None:
    assert [model.__name__ for model in models_of("operators.prometheus.api")] == sorted(KINDS)
    assert [model.__name__ for model in models_of("operators.prometheus.api.probe")] == ["Probe"]


@pytest.mark.parametrize(("text", "message"), [("a: [", "is no YAML"), ("kind: Pod", "is no CustomResourceDefinition")])
def test_a_file_of_somebody_else_is_not_overwritten(module: Path, text: str, message: str) -> None:
    (module.parent / "crds").mkdir()
    path = module.parent / "crds" / "websites.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        run(module)
    assert path.read_text() == text


def test_the_definitions_of_this_repository_are_what_its_models_say(capsys: pytest.CaptureFixture[str]) -> None:
    crds(["operators.etcd.api", "operators.prometheus.api"], out=ROOT / "crds", check=True)
    assert capsys.readouterr() == ("", "")


def test_as_a_command_it_has_examples_and_a_status(tmp_path: Path) -> None:
    assert "controllerkit crds shop.api --check --against" in controllerkit("crds", "--help").stdout
    done = controllerkit("crds", "operators.etcd.api", "--check", "--out", str(tmp_path))
    assert done.returncode == 1
    assert "kind: EtcdCluster" in done.stdout
