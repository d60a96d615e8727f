"""``docs/reconcilers.md`` says what the loop does."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from controllerkit import Client, Request, Result, TerminalError
from controllerkit.controller.controller import RETRY_JITTER
from controllerkit.controller.failing import TELL_AFTER_FAILURES
from controllerkit.controller.metrics import REASONS, reason_class
from controllerkit.errors import Conflict
from controllerkit.workqueue.limiters import BASE_S, MAX_S
from tests.unit.controller.looping import looped
from tests.unit.controller.running import A

PAGE = (Path(__file__).parents[3] / "docs" / "reconcilers.md").read_text()


def test_every_reason_that_the_page_names_has_a_series_of_its_own() -> None:
    table = PAGE.partition("| declared by |")[2].partition("\n\n")[0]
    reasons = [each for row in table.splitlines()[2:] for each in re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1])]
    assert len(reasons) == 12
    assert {reason_class(each) for each in reasons} == set(REASONS) - {"other"}


def outcomes() -> list[tuple[str, str, str, str]]:
    table = PAGE.partition("| `reconcile` ends with |")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return [tuple(cell.strip().strip("`") for cell in row) for row in rows]  # type: ignore[misc]


@pytest.mark.parametrize(("code", "result", "failures", "back"), outcomes())
async def test_the_table_of_outcomes_is_what_the_loop_does(
    websites: Client, code: str, result: str, failures: str, back: str
) -> None:
    known: dict[str, Any] = {"Result": Result, "TerminalError": TerminalError, "Conflict": Conflict}
    exec(f"def ends():\n{textwrap.indent(code, '    ')}", known)
    times: list[float] = []

    async def answer(request: Request) -> Result | None:
        times.append(loop.clock.monotonic())
        if len(times) == 1:
            raise ValueError("so that there is a failure to keep or forget")
        return known["ends"]() if len(times) == 2 else None

    loop = await looped(websites, answer)
    loop.queue.add(A)
    await loop.clock.advance(BASE_S * (1.0 + RETRY_JITTER))
    assert len(times) == 2
    counts = {"forgotten": 0, "kept": 1, "counted": 2}
    assert loop.queue.failures(A) == counts[failures]
    assert loop.results() == ({"error": 2.0} if result == "error" else {"error": 1.0, result: 1.0})
    delay_s = {
        "with the next change": None,
        "after 30 s": 30.0,
        f"after {BASE_S:g} s, doubled with each failure up to {MAX_S:g} s": BASE_S * 2,
    }[back]
    await loop.clock.advance(MAX_S * 2)
    assert len(times) == (2 if delay_s is None else 3)
    if delay_s is not None:
        assert delay_s <= times[2] - times[1] + 1e-9 < delay_s * (1.0 + RETRY_JITTER) + 1e-6
    await loop.stopped()


def test_the_page_names_the_numbers_there_are() -> None:
    assert (TELL_AFTER_FAILURES, RETRY_JITTER) == (10, 0.1)
    assert "has failed ten times in a\nrow" in PAGE
    assert "up to a tenth longer" in PAGE
