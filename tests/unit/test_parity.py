"""The parity page claims what marked tests show, and nothing else."""

from __future__ import annotations

from tests.parity.table import PAGE, read, render


def test_every_mark_names_a_row_and_no_row_says_two_things() -> None:
    assert read().problems() == []


def test_every_scenario_of_the_peers_tests_has_a_test_here_or_a_reason() -> None:
    assert [row.id for row in read().missing()] == []


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render(read()), "make docs writes it anew"
