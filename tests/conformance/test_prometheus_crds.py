"""The definitions of ``monitoring.coreos.com``: served, and what is written with them is taken or refused as it is
judged beforehand."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest_asyncio
import yaml

from operators.prometheus.api import KINDS, definitions, judge, with_defaults
from tests.conformance.conftest import CRDS, Server, establish

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"
CRDS_ON_DISK = Path(__file__).resolve().parents[2] / "crds"
GROUP = "monitoring.coreos.com"

BROKEN = {"scrapeclass-example-podmonitor.yaml", "scrapeclass-example-servicemonitor.yaml"}
"""Examples without the selector that the original's definitions require."""


class Loader(yaml.CSafeLoader):
    """Reads ``=`` as the text it is in Alertmanager's matchers."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def defined(server: Server) -> AsyncIterator[None]:
    """The definitions as they are in the folder ``crds``."""
    bodies = [
        yaml.load((CRDS_ON_DISK / f"{model.resource_kind().plural}.yaml").read_text(), Loader)
        for model in KINDS.values()
    ]
    for body in bodies:
        await establish(server, body)
    yield
    for body in bodies:
        await server.delete(f"{CRDS}/{body['metadata']['name']}")
    for body in bodies:
        await server.gone(f"{CRDS}/{body['metadata']['name']}")


def collection(value: Any, ns: str) -> str:
    return f"/apis/{value['apiVersion']}/namespaces/{ns}/{KINDS[value['kind']].resource_kind().plural}"


def here(value: Any, ns: str, name: str) -> dict[str, Any]:
    moved: dict[str, Any] = copy.deepcopy(value)
    moved["metadata"] = {**moved.get("metadata", {}), "namespace": ns, "name": name}
    return moved


def written(value: Any) -> dict[str, Any]:
    """What is the user's of an object."""
    metadata = {name: value["metadata"].get(name) for name in ("name", "namespace", "labels", "annotations")}
    return {**{name: child for name, child in value.items() if name != "status"}, "metadata": metadata}


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of these kinds in the manifests of kube-prometheus and of prometheus-operator."""
    for file in sorted((SHARED / "manifests").rglob("*.yaml")):
        text = file.read_text()
        if f"apiVersion: {GROUP}/" not in text:
            continue
        for value in yaml.load_all(text, Loader):
            if value and str(value.get("apiVersion")).startswith(GROUP):
                yield file.name, value


def corpus() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the golden corpus that is annotated with what the original's definitions say of it."""
    for file in sorted((SHARED / "goldens").rglob("*.json")):
        case = json.loads(file.read_text())
        if "crd" in case:
            for value in filter(None, [case.get("cr"), *(case.get("objects") or ())]):
                yield file.name, value


async def test_each_definition_is_accepted_as_structural_and_kept_as_it_is(server: Server, defined: None) -> None:
    for sent in definitions():
        answer = await server.get(f"{CRDS}/{sent['metadata']['name']}")
        conditions = {one["type"]: one["status"] for one in answer["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}, sent["metadata"]["name"]
        assert answer["spec"]["versions"] == sent["spec"]["versions"]


async def test_every_example_is_taken_without_an_unknown_field_and_filled_in_as_here(
    server: Server, defined: None, ns: str
) -> None:
    kinds, broken = set(), set()
    for number, (file, value) in enumerate(examples()):
        sent = here(value, ns, f"e{number}")
        answer = await server.post(collection(value, ns), sent, fieldValidation="Strict")
        if answer.code == 422 and [cause["field"] for cause in answer["details"]["causes"]] == ["spec.selector"]:
            broken.add(file)
            continue
        assert answer.code == 201, f"{file}: {answer.text}"
        assert written(answer.value) == written(with_defaults(value["kind"], sent)), file
        assert "Warning" not in answer.headers, file
        kinds.add(value["kind"])
    assert broken == BROKEN
    assert kinds == KINDS.keys() - {"Probe", "ScrapeConfig"}, "of these there are none; the corpus has many"


async def test_the_server_refuses_of_the_corpus_what_is_refused_here(server: Server, defined: None, ns: str) -> None:
    refused = 0
    for number, (file, value) in enumerate(corpus()):
        sent = here(value, ns, f"c{number}")
        answer = await server.post(collection(value, ns), sent, fieldValidation="Strict", dryRun="All")
        violations = judge(value["kind"], sent).violations
        assert answer.code == (422 if violations else 201), f"{file}: {answer.text}"
        if violations:
            refused += 1
            causes = {cause["field"] for cause in answer.value["details"]["causes"]}
            assert causes == {one.path for one in violations}, file
        else:
            assert written(answer.value) == written(with_defaults(value["kind"], sent)), file
    assert refused > 5


async def test_both_versions_are_served_where_a_webhook_converts(server: Server, defined: None) -> None:
    service = {"name": "webhook", "namespace": "default", "path": "/convert", "port": 8443}
    conversion = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": {"service": service}, "conversionReviewVersions": ["v1"]},
    }
    (body,) = (each for each in definitions(conversion) if each["spec"]["names"]["kind"] == "AlertmanagerConfig")
    path = f"{CRDS}/{body['metadata']['name']}"
    known = (await server.get(path)).value
    sent = {**known, "spec": body["spec"]}
    answer = await server.put(path, sent, dryRun="All", fieldValidation="Strict")
    assert answer.code == 200, answer.text
    assert answer["spec"]["versions"] == body["spec"]["versions"]
