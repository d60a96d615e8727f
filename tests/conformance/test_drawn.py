"""Objects drawn from every definition made here: taken, refused and stored by the server as is said before sending.

What is said here (`controllerkit.schema`) is compared with the answer: whether it is taken, what of it is stored, and
which fields are named for what reason where it is not.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from controllerkit.schema import Resource, custom_resource_definition
from controllerkit.schema.judging import judge_resource
from controllerkit.schema.rules import schema_of
from controllerkit.schema.stored import as_stored
from controllerkit.schema.validation import JUNCTIONS
from tests.conformance.conftest import CRDS, Answer, Server, establish
from tests.conformance.drawing import drawn
from tests.declared import DECLARED, resource

DRAWN = {"real": 300, "embedded": 60}
AT_ONCE = 16
UNASKED = ("FieldValueInvalid", "<nil>")
"""The cause that says that no rule was asked."""


@asynccontextmanager
async def serving(server: Server, model: type[Resource]) -> AsyncIterator[str]:
    """Where objects of the model are made, as long as the definition of its kind is there."""
    definition = custom_resource_definition(model if model.serving().storage is not False else _stored(model))
    name = definition["metadata"]["name"]
    await establish(server, definition)
    try:
        yield model.resource_kind().path("default")
    finally:
        await server.delete(f"{CRDS}/{name}")
        await server.gone(f"{CRDS}/{name}")


def _stored(model: type[Resource]) -> type[Resource]:
    """The same as the version that is stored: what another one does not know is lost where nothing converts."""
    kind = model.resource_kind()

    class Stored(model, group=kind.group, version=kind.version, kind=kind.kind, plural=kind.plural):  # type: ignore[misc, valid-type]
        pass

    return Stored


def told(answer: Answer) -> set[tuple[str, str]]:
    """Reason and field of each cause. Where the server names no field, its message ends in it or begins with it."""
    if answer.code < 300:
        return set()
    assert answer.code == 422, answer.text
    return {(one["reason"], _field(one)) for one in answer["details"]["causes"]}


def _field(cause: dict[str, str]) -> str:
    field, message = cause["field"], cause["message"]
    if field == "<nil>" and '"" must ' not in message:
        quoted = message.split(': "', 2)
        if " must validate " in message or " must not validate " in message:
            return quoted[-1].partition('" must')[0].rpartition('"')[2] or field
        if "Checked value must be of type" in message:
            return message.rpartition(" in ")[2]
    return field.removeprefix(".")


def _rules(schema: Any) -> Iterator[dict[str, str]]:
    yield from schema.get("x-kubernetes-validations", ())
    inner = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for each in filter(None, inner):
        yield from _rules(each)


def _int(text: str) -> float:
    return int(text) if -(2**63) <= int(text) < 2**63 else float(text)


class Said:
    """What is said of an object before it is sent."""

    def __init__(self, model: type[Resource], value: dict[str, Any]) -> None:
        schema = schema_of(model)
        self.stored = as_stored(schema, value)
        self.stored.pop("status", None)
        judged = judge_resource(model, value)
        rules = {one["rule"] for one in _rules(schema)}
        self.causes = {(one.reason, one.path or "<nil>") for one in judged.violations if one.rule not in rules}
        self.ruled = {(one.reason, one.path or "<nil>") for one in judged.violations if one.rule in rules}
        self.junctions = {one.path for one in judged.violations if one.rule in JUNCTIONS}
        self.left = {one.path for one in judged.left_to_server}

    def differs(self, answer: Answer) -> str:
        """What the server says otherwise, "" where nothing."""
        causes = told(answer) - {UNASKED}
        within = {one for one in causes if any(one[1].startswith(path) for path in self.junctions)} - self.causes
        free = {one for one in causes if any(one[1].startswith(path) for path in self.left)} - self.causes
        wanted = (self.causes | self.ruled) - free
        if causes - within - free != wanted - free:
            return f"said {sorted(wanted)}, the server {sorted(causes)}: {answer.text[:600]}"
        if answer.code < 300:
            value = {**json.loads(answer.text, parse_int=_int), "metadata": self.stored["metadata"]}
            if value != self.stored:
                return f"said to be stored {self.stored}, is {value}"
        return ""


@pytest.mark.timeout(600)  # drawing hundreds of the largest takes a minute
@pytest.mark.parametrize("name", DECLARED)
async def test_what_is_taken_refused_and_stored_is_what_is_said_before(server: Server, name: str) -> None:
    model = resource(name)
    kind = model.resource_kind()
    objects = [
        {**value, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": f"d{index}"}}
        for index, value in enumerate(drawn(schema_of(model), DRAWN[server.name]))
    ]
    assert len(objects) >= DRAWN[server.name]
    places = asyncio.Semaphore(AT_ONCE)
    async with serving(server, model) as path:

        async def asked(value: dict[str, Any]) -> Answer:
            async with places:
                return await server.post(path, value, dryRun="All")

        answers = await asyncio.gather(*map(asked, objects))
    codes = Counter(answer.code for answer in answers)
    differences = {
        str(value): found
        for value, answer in zip(objects, answers, strict=True)
        if (found := Said(model, value).differs(answer))
    }
    shown = "\n\n".join(f"{value}\n  {found}" for value, found in list(differences.items())[:20])
    assert not differences, f"{len(differences)} of {len(objects)} differ ({dict(codes)})\n{shown}"
    assert min(codes[201], codes[422]) >= len(objects) / 20, f"too few are taken or refused: {dict(codes)}"
