"""The sample reconcilers through a few seeds each; ``make sweep`` takes them through many more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sweep.subject import Subject
from tests.sweep.subjects import SUBJECTS

SEEDS = 25
SLOW = {"TrustsItsCache", "StopsWhatWasIdle", "no_majority_is_asked_for"}
"""Found by a seed beyond those that are tried here."""


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_a_sample_is_right_whatever_happens(subject: Subject) -> None:
    assert subject.sweep(range(SEEDS)).seeds == SEEDS


BUGS: list[Any] = [
    pytest.param(subject, bug, id=f"{subject.name}-{bug.__name__}")
    for subject in SUBJECTS
    for bug in subject.bugs
    if bug.__name__ not in SLOW
]


@pytest.mark.parametrize(("subject", "bug"), BUGS)
def test_a_planted_mistake_is_found(subject: Subject, bug: Any) -> None:
    failed = subject.find(bug, 1000)
    assert failed is not None
    assert failed.seed < 1000
    assert len(failed.steps) <= failed.steps_drawn
