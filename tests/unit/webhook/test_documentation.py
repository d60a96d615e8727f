"""``docs/webhooks.md`` says what is served, and its code runs."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from controllerkit import Client, Key, Manager
from controllerkit.schema import custom_resource_definition
from controllerkit.webhook import MadeCertificates, Reached, WebhookServer, conversion
from controllerkit.webhook.certificates import AUTHORITY_LIFE, OVERLAP, RENEW_AT, SERVING_LIFE
from examples.alarms import Alarm, AlarmV1

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "webhooks.md").read_text()


async def test_the_code_of_the_page_runs(client: Client) -> None:
    known: dict[str, Any] = {
        each.__name__: each
        for each in (Alarm, AlarmV1, Key, Manager, MadeCertificates, Reached, WebhookServer, custom_resource_definition)
    }
    known |= {"conversion": conversion, "client": client}
    classes, *statements = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for block in statements:
        exec(block, known)
    assert known["webhooks"].paths == [
        "/mutate-example-dev-v2-alarm",
        "/validate-example-dev-v2-alarm",
        "/convert",
    ]
    assert [each["name"] for each in known["validating"]["webhooks"]] == ["validate-alarm-v2.example.dev"]
    assert [each["name"] for each in known["definition"]["spec"]["versions"]] == ["v2", "v1"]
    for line in re.findall(r"^    def (\w+)(\(.*\) -> .*?): \.\.\.", classes, re.MULTILINE):
        method = getattr(AlarmV1 if "hub" in line[0] else Alarm, line[0])
        signature = str(inspect.signature(inspect.unwrap(getattr(method, "__func__", method))))
        assert signature.replace("'", "") == line[1], line[0]


def test_the_times_of_the_page_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    assert (RENEW_AT, OVERLAP.total_seconds()) == (2 / 3, 3600.0)
    assert f"two thirds of their life ({SERVING_LIFE.days} and {AUTHORITY_LIFE.days} days)" in text
    assert "an hour before it signs" in text
