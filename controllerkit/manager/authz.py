"""Who may read metrics and debug pages: the API server is asked (TokenReview, SubjectAccessReview)."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from controllerkit.client import Client
from controllerkit.errors import ControllerkitError
from controllerkit.runtime import Clock

__all__ = ["Authorizer", "Verdict"]

AUTHENTICATED_S: Final = 60.0
ALLOWED_S: Final = 300.0
DENIED_S: Final = 30.0
"""controller-runtime ``metrics/filters``: how long the answers of the API server are kept."""

REMEMBERED_MAX: Final = 1024


class Verdict:
    """An HTTP status and a sentence; 200 where the request may go on."""

    def __init__(self, status: int, why: str = "") -> None:
        self.status, self.why = status, why


class _Memory:
    """Answers by question, each for its own time."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, ...], tuple[float, Any]] = OrderedDict()

    def get(self, question: tuple[str, ...], now: float) -> Any:
        until, answer = self._answers.get(question, (0.0, None))
        return answer if now < until else None

    def put(self, question: tuple[str, ...], answer: Any, until: float) -> None:
        self._answers[question] = (until, answer)
        self._answers.move_to_end(question)
        if len(self._answers) > REMEMBERED_MAX:
            self._answers.popitem(last=False)


class Authorizer:
    """Judges requests by their bearer token, path and verb.

    Guarantees:
        A token is kept only as a hash, and is in no message. Where the API server cannot be asked, nobody may.
        It needs the right to create tokenreviews and subjectaccessreviews.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._users, self._verdicts = _Memory(), _Memory()

    async def judge(self, authorization: str, path: str, verb: str) -> Verdict:
        """``authorization`` is the header's value; ``verb`` is in lower case."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return Verdict(401, "a bearer token is needed")
        try:
            user = await self._user(token.strip())
            if user is None:
                return Verdict(401, "the token is not known to the API server")
            allowed = await self._allowed(user, path, verb)
        except ControllerkitError as error:
            return Verdict(500, f"the API server could not be asked: {type(error).__name__}")
        return Verdict(200) if allowed else Verdict(403, f"{user['username']} may not {verb} {path}")

    async def _user(self, token: str) -> Mapping[str, Any] | None:
        question = (hashlib.sha256(token.encode()).hexdigest(),)
        user = self._users.get(question, self._clock.monotonic())
        if user is None:
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
            answer = await self._client.request_json("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)
            status = answer.get("status") or {}
            if not status.get("authenticated"):
                return None
            user = status.get("user") or {}
            self._users.put(question, user, self._clock.monotonic() + AUTHENTICATED_S)
        found: Mapping[str, Any] = user
        return found

    async def _allowed(self, user: Mapping[str, Any], path: str, verb: str) -> bool:
        name, groups = user.get("username", ""), user.get("groups") or []
        question = (name, *sorted(groups), verb, path)
        known = self._verdicts.get(question, self._clock.monotonic())
        if known is None:
            spec = {
                "user": name,
                "groups": groups,
                "uid": user.get("uid", ""),
                "extra": user.get("extra") or {},
                "nonResourceAttributes": {"path": path, "verb": verb},
            }
            review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
            answer = await self._client.request_json(
                "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review
            )
            known = bool((answer.get("status") or {}).get("allowed"))
            self._verdicts.put(question, known, self._clock.monotonic() + (ALLOWED_S if known else DENIED_S))
        return bool(known)
