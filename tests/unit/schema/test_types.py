"""Quantities, durations and ports, as the API writes them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controllerkit.errors import BadRequest
from controllerkit.schema import ApiModel, Duration, IntOrString, Quantity
from controllerkit.schema.types import format_duration, parse_duration


class Values(ApiModel):
    memory: Quantity = Quantity("1Gi")
    wait: Duration = timedelta(0)
    port: IntOrString = 80


@given(st.timedeltas(min_value=timedelta(days=-100_000), max_value=timedelta(days=100_000)))
def test_every_duration_comes_back_as_it_went(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1h30m", 5400),
        ("-1.5s", -1.5),
        ("+1s", 1),
        ("100ms", 0.1),
        ("1.s", 1),
        (".5s", 0.5),
        ("2µs", 2e-6),
        ("1h1h", 7200),
        ("300ns", 0),
        ("2562047h47m16s", 9223372036),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "1", "s", "1 s", "1d", "1h-1m", "soon", "1e3s", "2562048h"])
def test_what_go_does_not_read_is_no_duration(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1Gi", 2**30),
        ("250m", Decimal("0.25")),
        ("1e3", 1000),
        ("-1", -1),
        (5, 5),
        ("1.5k", 1500),
        (".5", Decimal("0.5")),
    ],
)
def test_a_quantity_keeps_its_text_and_knows_its_number(text: Any, value: Any) -> None:
    read = Values.model_validate({"memory": text})
    assert (read.memory, read.memory.value) == (str(text), value)
    assert read.model_dump(mode="json", exclude_unset=True) == {"memory": str(text)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory": "1Gb"},
        {"memory": ""},
        {"memory": 1.5},
        {"memory": True},
        {"memory": " 1"},
        {"wait": 5},
        {"wait": "5"},
        {"port": 1.5},
        {"port": True},
        {"port": None},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_form_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Values.model_validate(wrong)


@pytest.mark.parametrize("port", [80, "http", "80", "25%"])
def test_a_port_stays_the_number_or_the_text_it_is(port: int | str) -> None:
    assert Values.model_validate({"port": port}).model_dump(mode="json")["port"] == port
