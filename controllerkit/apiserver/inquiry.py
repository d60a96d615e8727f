"""Decisions that need an answer from outside, without awaiting it.

A decision is synchronous and asks webhooks. Where an answer is not there yet it is broken off (`Unanswered`), the
driver asks, and the decision is taken anew from the start, now with the answer. What is asked depends on the objects
as they are, so where one has changed meanwhile the question is another and is asked again: what is written in the end
was decided at that moment, on the objects of that moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

__all__ = ["Inquiry", "Question", "Reply", "Unanswered"]


@dataclass(frozen=True, slots=True)
class Question:
    """A review for one webhook.

    Attributes:
        webhook: its name in errors.
        client: its ``clientConfig``, encoded. timeout_s: of the whole call.
        version: the apiVersion of the review, ``admission.k8s.io/v1``. kind: of it.
        request: the review's request without its uid, encoded.
    """

    webhook: str
    client: bytes
    timeout_s: float
    version: str
    kind: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back to the review of that uid: a decoded document, or why there is none."""

    uid: str
    value: Mapping[str, Any] | None = None
    failure: str = ""


class Unanswered(Exception):
    """The decision waits for these answers."""

    def __init__(self, questions: Sequence[Question]) -> None:
        super().__init__(f"{len(questions)} questions")
        self.questions = tuple(questions)


class Inquiry:
    """What one request has asked and was told.

    Attributes:
        user: who makes the request, as in ``AdmissionRequest.userInfo``.
        options: the request's options, as in ``AdmissionRequest.options`` without type.
        rng: the same numbers each time the decision is taken, or every question would be a new one.
        warnings: what webhooks warn of; of the last time the decision was taken.
    """

    def __init__(self, user: Mapping[str, Any], options: Mapping[str, Any], seed: int) -> None:
        self.user = user
        self.options = options
        self.warnings: list[str] = []
        self._seed = seed
        self._replies: dict[Question, Reply] = {}
        self.rng = Random(seed)

    def restart(self) -> None:
        """Before the decision is taken, each time."""
        self.warnings.clear()
        self.rng = Random(self._seed)

    def new_uid(self) -> UUID:
        """A uid for an object that the request makes."""
        return UUID(int=self.rng.getrandbits(128), version=4)

    def ask(self, questions: Sequence[Question]) -> list[Reply]:
        """The answers.

        Raises:
            Unanswered: some are not known yet.
        """
        missing = [one for one in dict.fromkeys(questions) if one not in self._replies]
        if missing:
            raise Unanswered(missing)
        return [self._replies[one] for one in questions]

    def tell(self, question: Question, reply: Reply) -> None:
        """The answer to one of them."""
        self._replies[question] = reply
