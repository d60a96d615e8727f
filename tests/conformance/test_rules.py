"""Rules in CEL: what ``controllerkit.schema.rules`` says before sending is what the server says."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from controllerkit.schema import custom_resource_definition
from controllerkit.schema.rules import judge, schema_of
from controllerkit.schema.stored import with_defaults
from tests.conformance.conftest import CRDS, Answer, Server, establish
from tests.unit.schema.ruled import CREATED, GROUP, LEFT, UPDATED, Ruled

RULEDS = f"/apis/{GROUP}/v1/namespaces/default/ruleds"
SCHEMA = schema_of(Ruled)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ruleds(server: Server) -> AsyncIterator[str]:
    body = custom_resource_definition(Ruled)
    await establish(server, body)
    yield RULEDS
    await server.delete(f"{CRDS}/{body['metadata']['name']}")


def made(spec: Any, name: str = "") -> dict[str, Any]:
    kind = Ruled.resource_kind()
    metadata = {"name": name or f"r{uuid.uuid4().hex[:8]}"}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}


def told(answer: Answer) -> set[tuple[str, str, str]]:
    """Reason, field and message of each cause; the server puts the value before its message."""
    if answer.code < 300:
        return set()
    assert answer.code == 422, answer.text
    return {
        (one["reason"], one["field"], one["message"].split(": ", 2 if "Invalid value" in one["message"] else 1)[-1])
        for one in answer["details"]["causes"]
    }


def ours(value: Any, old: Any = None) -> set[tuple[str, str, str]]:
    judged = judge(SCHEMA, with_defaults(SCHEMA, value), old)
    return {(one.reason, one.path or "<nil>", one.message) for one in judged.violations}


@pytest.mark.parametrize("spec", [spec for spec, _ in CREATED], ids=str)
async def test_a_create_is_refused_for_what_is_told_here_before(server: Server, ruleds: str, spec: Any) -> None:
    value = made(spec)
    assert told(await server.post(ruleds, value)) == ours(value)


async def test_a_rule_on_the_name_is_told_too(server: Server, ruleds: str) -> None:
    assert told(await server.post(ruleds, made({}, "bad"))) == ours(made({}, "bad")) != set()


@pytest.mark.parametrize(
    ("before", "after"), [(before, after) for before, after, _ in UPDATED if before != {}], ids=str
)
async def test_an_update_is_refused_for_what_is_told_here_before(
    server: Server, ruleds: str, before: Any, after: Any
) -> None:
    old = await server.make(ruleds, made(before))
    new = {**old, "spec": after}
    assert told(await server.put(f"{ruleds}/{old['metadata']['name']}", new)) == ours(new, old)


async def test_what_is_left_to_the_server_it_decides(server: Server, ruleds: str) -> None:
    answers = {}
    for spec, before, path, _ in LEFT:
        old = await server.make(ruleds, made(before)) if before else None
        value = made(spec) if old is None else {**old, "spec": spec}
        assert ours(value, old) == set()
        sent = server.post(ruleds, value) if old is None else server.put(f"{ruleds}/{old['metadata']['name']}", value)
        answers[path] = (await sent).code
    assert answers == {"spec.sorted": 422, "spec.word": 201, "spec.lower": 422, "spec.tags": 200}
