"""What the embedded server knows of the built-in kinds is what the real one says of itself."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.conformance import extract_protobuf, extract_schemas
from tests.conformance.conftest import Server


async def test_schemas_are_those_of_the_real_server(server: Server) -> None:
    if not server.real:
        pytest.skip("only a real server can tell")
    found = await extract_schemas.read(server.url, server.session)
    assert found == json.loads(extract_schemas.TARGET.read_text()), "run tests/conformance/extract_schemas.py"


@pytest.mark.real
def test_field_numbers_are_those_of_the_go_types() -> None:
    if shutil.which("go") is None:
        pytest.skip("no Go on this machine")
    assert extract_protobuf.extract() == json.loads(extract_protobuf.TARGET.read_text())
