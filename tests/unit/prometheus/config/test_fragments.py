"""The jobs of an object are kept until something that they were made of changes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from benchmarks.configuration import NAMESPACES, PROMETHEUS, monitor
from operators.prometheus.config.configuration import Configuration, configuration
from operators.prometheus.config.fragments import CHECKS, JOBS, RELEVANT, Fragments, instance_scope, jobs_of
from operators.prometheus.config.options import Options
from operators.prometheus.tables import Assets, Rejected
from tests.unit.prometheus.goldens import case, names

COUNT = 30


class Scene:
    """A Prometheus with monitors of several namespaces, over time."""

    def __init__(self) -> None:
        self.cr: dict[str, Any] = copy.deepcopy(PROMETHEUS)
        self.objects = [monitor(number) for number in range(COUNT)]
        self.secrets = {(name, "token"): {"token": b"first"} for name in NAMESPACES}
        self.options = Options()
        self.fragments = Fragments()

    def configured(self, fragments: Fragments | None = None) -> Configuration:
        return configuration(self.cr, self.objects, NAMESPACES, Assets(self.secrets), self.options, fragments=fragments)

    def made(self) -> int:
        """How many fragments are made now; what comes of it is what comes of nothing kept."""
        kept, fresh = self.configured(self.fragments), self.configured()
        assert (kept.text, kept.selected, kept.dropped) == (fresh.text, fresh.selected, fresh.dropped)
        assert kept.rejected.keys() == fresh.rejected.keys()
        return self.fragments.made


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    assert scene.made() == COUNT
    assert scene.made() == 0
    return scene


def test_of_many_monitors_the_one_that_changed_is_made_anew(scene: Scene) -> None:
    scene.objects[4] = monitor(4, generation=2)
    assert scene.made() == 1


def test_without_uid_and_generation_the_spec_decides(scene: Scene) -> None:
    for each in scene.objects:
        del each["metadata"]["uid"]
    assert scene.made() == COUNT
    scene.objects[4] = {**scene.objects[4], "spec": {**scene.objects[4]["spec"], "jobLabel": "other"}}
    assert scene.made() == 1


def test_a_secret_that_changes_comes_or_goes_makes_anew_those_that_refer_to_it(scene: Scene) -> None:
    place = scene.objects[4]["metadata"]["namespace"]
    sharing = sum(each["metadata"]["namespace"] == place for each in scene.objects)
    scene.secrets = {**scene.secrets, (place, "token"): {"token": b"second"}}
    assert scene.made() == sharing
    assert "second" in scene.configured().text
    del scene.secrets[place, "token"]
    assert scene.made() == sharing
    assert f"ServiceMonitor/{place}/web-4" in scene.configured().rejected
    scene.secrets[place, "token"] = {"token": b"third"}
    assert scene.made() == sharing
    assert not scene.configured().rejected
    scene.secrets["elsewhere", "token"] = {"token": b"fourth"}
    assert scene.made() == 0


def test_a_monitor_that_is_gone_is_forgotten_and_made_anew_when_it_is_back(scene: Scene) -> None:
    gone = scene.objects.pop()
    assert scene.made() == 0
    scene.objects.append(gone)
    assert scene.made() == 1


@pytest.mark.parametrize(
    ("field", "value", "made"),
    [
        ("replicas", 3, 0),
        ("evaluationInterval", "10s", 0),
        ("enforcedNamespaceLabel", "ns", COUNT),
        ("shards", 5, COUNT),
        ("version", "v2.45.0", COUNT),
        ("scrapeInterval", "10s", COUNT),
    ],
)
def test_what_jobs_depend_on_of_the_prometheus_makes_all_of_them_anew(
    scene: Scene, field: str, value: Any, made: int
) -> None:
    scene.cr = {**scene.cr, "spec": {**scene.cr["spec"], field: value}}
    assert scene.made() == made


def test_other_gates_make_all_of_them_anew(scene: Scene) -> None:
    scene.options = Options(shard_retention=True)
    assert scene.made() == COUNT


class Read(Mapping[str, Any]):
    """A spec that remembers which of its fields were asked for."""

    def __init__(self, spec: dict[str, Any], asked: set[str]) -> None:
        self.spec, self.asked = spec, asked

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return self.spec[name]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("all fields are asked for")

    def __len__(self) -> int:
        return len(self.spec)


def test_no_job_depends_on_a_field_of_the_prometheus_that_is_not_counted_as_relevant() -> None:
    asked: set[str] = set()
    for name in names("prometheus", "GenerateServerConfiguration", "GenerateAgentConfiguration"):
        of = case(name)
        cr = {**of["cr"], "spec": Read(of["cr"]["spec"], asked)}
        for options in (Options(), Options(compat=True, topology_sharding=True, endpoint_slices=True)):
            scope = instance_scope(of["cr"], Assets.of(of["secrets"], of["configmaps"]), options)
            for each in of["objects"]:
                for make in (CHECKS[each["kind"]], lambda *given, kind=each["kind"]: jobs_of(kind, *given)):
                    try:
                        make(each, cr, scope)
                    except Rejected:
                        continue
    assert asked <= set(RELEVANT)
    assert len(asked) > len(JOBS)
