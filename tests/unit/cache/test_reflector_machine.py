"""The reflector machine against its transcripts, and the rules that hold on every path."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controllerkit.cache import machine as m
from controllerkit.client import WatchEvent
from controllerkit.errors import (
    ApiError,
    BadRequest,
    ConfigError,
    ConnectError,
    Expired,
    Forbidden,
    InternalError,
    Invalid,
    MalformedObject,
    ServerTimeout,
    TooManyRequests,
    TransportError,
)
from controllerkit.objects import Object
from controllerkit.runtime import BackoffOptions
from controllerkit.testing import run_scenario

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios" / "reflector").glob("*.txt"))

ERRORS: dict[str, Callable[[], Exception]] = {
    "410": lambda: Expired("too old resource version"),
    "429": lambda: TooManyRequests("slow down"),
    "403": lambda: Forbidden("no"),
    "500": lambda: InternalError("oops"),
    "refused": lambda: ConnectError("connection refused", refused=True),
    "broken": lambda: TransportError("connection reset"),
    "too-large": lambda: InternalError("Too large resource version: 5, current: 3"),
    "too-large-cause": lambda: ServerTimeout(
        "the server could not answer in time", details={"causes": [{"reason": "ResourceVersionTooLarge"}]}
    ),
    "unreadable": lambda: ApiError("cannot read the stored object", code=500, reason="StorageReadError"),
    "malformed": lambda: MalformedObject("not a watch event"),
    "400": lambda: BadRequest("invalid resource version"),
    "422": lambda: Invalid("sendInitialEvents is forbidden"),
}


def obj(name: str, version: str, *, end: str = "") -> Object:
    annotations = {m.INITIAL_EVENTS_END: end} if end else {}
    return Object.from_dict({"metadata": {"name": name, "resourceVersion": version, "annotations": annotations}})


class Reflector:
    """Speaks the scenario language to one machine."""

    def __init__(self) -> None:
        self.state: m.State = m.Empty()

    def __call__(self, text: str) -> str:
        printed = []
        for line in text.splitlines():
            printed += self.one(line)
        return "\n".join(printed)

    def one(self, line: str) -> list[str]:
        """One line: a command, its words, and options as key=value."""
        command, *rest = shlex.split(line)
        options = dict(word.split("=", 1) for word in rest if "=" in word)
        words = [word for word in rest if "=" not in word]
        now = float(options.get("at", 0))
        match command:
            case "options":
                self.state = m.Empty(m.Memory(options=self.options(options)))
                return []
            case "start":
                event: m.Event = m.Started()
            case "listed":
                items = [obj(*item.split("@")) for item in words]
                event = m.PageListed(items, options["rv"], options.get("continue", ""))
            case "opened":
                event = m.Opened()
            case "received":
                event = m.Received([self.event(word) for word in words])
            case "closed":
                event = m.Closed()
            case "failed":
                event = m.Failed(ERRORS[words[0]]())
            case "woke":
                event = m.Woke()
            case _:
                raise ValueError(line)
        self.state, effects = m.step(self.state, event, now)
        return [self.told(effect) for effect in effects]

    @staticmethod
    def options(given: dict[str, str]) -> m.ReflectorOptions:
        numbers = {name: float(value) for name, value in given.items()}
        backoff = {name.removeprefix("backoff."): numbers.pop(name) for name in given if name.startswith("backoff.")}
        whole = {name: int(numbers.pop(name)) for name in given if name in ("page_size", "streaming")}
        return m.ReflectorOptions(backoff=BackoffOptions(**backoff), **whole, **numbers)

    @staticmethod
    def event(word: str) -> WatchEvent:
        kind, _, rest = word.partition(":")
        name, _, version = rest.partition("@")
        if kind in ("END", "NOEND"):
            return WatchEvent("BOOKMARK", obj("", version, end="true" if kind == "END" else "false"))
        return WatchEvent(kind, obj(name, version))

    @staticmethod
    def told(effect: m.Effect) -> str:
        match effect:
            case m.ListPage(version, limit, token):
                return f"list rv={version!r} limit={limit}" + (f" continue={token}" if token else "")
            case m.OpenWatch(version, initial):
                return f"watch rv={version!r}" + (" with initial events" if initial else "")
            case m.Read():
                return "read"
            case m.Wait(base_s, jitter):
                return f"wait {base_s:g}..{base_s * (1 + jitter):g} s"
            case m.Replace(objects):
                return "replace " + (" ".join(sorted(o.name for o in objects)) or "with nothing")
            case m.Apply(events):
                return "apply " + " ".join(f"{e.type}:{e.object.name}" for e in events)
            case m.Publish(version):
                return f"publish rv={version}"
            case m.Log(event, _):
                return f"log {event}"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_transcript(path: Path, rewrite: bool) -> None:
    assert run_scenario(path, Reflector(), rewrite=rewrite) > 0


WAITING = (m.ListPage, m.OpenWatch, m.Read, m.Wait)


def possible(state: m.State) -> st.SearchStrategy[m.Event]:
    """The events a driver can bring in ``state``."""
    errors = st.sampled_from(sorted(ERRORS)).map(lambda name: m.Failed(ERRORS[name]()))
    names = st.sampled_from("abc")
    versions = st.integers(1, 99).map(str)
    changes = st.builds(
        lambda k, n, v: WatchEvent(k, obj(n, v)), st.sampled_from(["ADDED", "MODIFIED", "DELETED"]), names, versions
    )
    marks = st.builds(
        lambda v, end: WatchEvent("BOOKMARK", obj("", v, end=end)), versions, st.sampled_from(["", "true", "false"])
    )
    received = st.lists(changes | marks, min_size=1, max_size=4).map(m.Received)
    pages = st.builds(
        lambda names_, v, token: m.PageListed([obj(n, v) for n in names_], v, token),
        st.lists(names, unique=True),
        versions,
        st.sampled_from(["", "", "next"]),
    )
    match state:
        case m.Empty():
            return st.just(m.Started())
        case m.Listing():
            return pages | errors
        case m.Streaming():
            return st.just(m.Opened()) | received | errors | st.just(m.Closed())
        case m.Resuming():
            return st.just(m.Opened()) | errors
        case m.Watching():
            return received | errors | st.just(m.Closed())
        case m.Backoff():
            return st.just(m.Woke())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_path_keeps_the_rules_of_effects(data: st.DataObject) -> None:
    """The last effect waits and no other does; a version is published only after the store was changed to it."""
    state: m.State = m.Empty()
    now = 0.0
    for _ in range(30):
        event = data.draw(possible(state))
        now += data.draw(st.floats(0, 200))
        state, effects = m.step(state, event, now)
        assert isinstance(effects[-1], WAITING)
        assert not any(isinstance(effect, WAITING) for effect in effects[:-1])
        for position, effect in enumerate(effects):
            if isinstance(effect, m.Publish) and isinstance(event, m.PageListed):
                assert any(isinstance(before, m.Replace) for before in effects[:position])
        waits = [effect.base_s for effect in effects if isinstance(effect, m.Wait)]
        assert all(BackoffOptions().initial_s <= wait_s <= BackoffOptions().max_s for wait_s in waits)
        if isinstance(state, m.Backoff):
            assert state.until > now


@pytest.mark.parity("2.1/watch-timeout-within-bounds")
@pytest.mark.parametrize("wrong", [{"watch_timeout_min_s": 299}, {"page_size": -1}, {"watch_idle_s": 0}])
def test_options_that_cannot_work_are_refused_with_the_value(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}.*{next(iter(wrong.values()))}"):
        m.ReflectorOptions(**wrong)


def test_an_event_that_cannot_happen_is_a_bug_of_the_driver() -> None:
    with pytest.raises(AssertionError, match="cannot happen"):
        m.step(m.Empty(), m.Opened(), 0.0)
