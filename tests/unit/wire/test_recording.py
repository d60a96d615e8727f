"""A recording: what is in it, what is not, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import errno
import gzip
import json
import stat
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controllerkit import Client, kinds
from controllerkit.errors import ConfigError, NotFound, RecordingError, TransportError
from controllerkit.runtime import wait_until
from controllerkit.wire import WireRequest, WireResponse
from controllerkit.wire.recording import (
    FORMAT_VERSION,
    MARK,
    Answered,
    ApiPath,
    Asked,
    Ended,
    LastEntry,
    Line,
    Recorder,
    Recording,
    RecordingTransport,
    RecordOptions,
    Redaction,
    read_recording,
    recorder,
)

SECRETS = "/api/v1/namespaces/default/secrets"
MAPS = "/api/v1/namespaces/default/configmaps"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Answers:
    """A transport that knows its answers: by path a body, a list of chunks, or an error."""

    def __init__(
        self, answers: Mapping[str, Any], *, status: int = 200, content_type: str = "application/json"
    ) -> None:
        self._answers = answers
        self._status = status
        self._content_type = content_type

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[WireResponse]:
        found = self._answers[request.path.partition("?")[0]]
        if isinstance(found, Exception):
            raise found
        yield _Answer(self._status, {"Content-Type": self._content_type, "Set-Cookie": "token=hush"}, found)

    async def aclose(self) -> None:
        return


class _Answer:
    def __init__(self, status: int, headers: Mapping[str, str], body: Any) -> None:
        self.status, self.headers = status, headers
        self._chunks = (
            body if isinstance(body, list) else [body if isinstance(body, bytes) else json.dumps(body).encode()]
        )

    async def read(self) -> bytes:
        return b"".join(self._chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def asked(path: str, method: str = "GET", body: Any = None, **headers: str) -> WireRequest:
    sent = None if body is None else json.dumps(body).encode()
    given = {"Accept": "application/json", "Content-Type": "application/json", "Authorization": "Bearer hush"}
    return WireRequest(method=method, path=path, body=sent, headers={**given, **headers})


async def recorded(
    path: Path, inner: Any, *requests: WireRequest, redact: tuple[str, ...] = (), **options: Any
) -> Recording:
    """What a recording of these requests holds."""
    one = Recorder(RecordOptions(path=path, redact=redact, **options))
    transport = RecordingTransport(inner, one)
    one.start({"websites": "Website.v1.example.dev"})
    for request in requests:
        try:
            async with transport.send(request) as response:
                watching = "watch=" in request.path
                _ = [chunk async for chunk in response.chunks()] if watching else await response.read()
        except TransportError:
            continue
    await one.close()
    return read_recording(path)


def secret(**data: str) -> dict[str, Any]:
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "resourceVersion": "7"}, "data": encoded}


# -- what is in it -------------------------------------------------------------------------------------------------


async def test_a_call_its_answer_and_the_lines_of_a_watch_are_kept_in_order_and_read_again(tmp_path: Path) -> None:
    events = [{"type": "ADDED", "object": {"metadata": {"name": str(n)}}} for n in range(3)]
    body = b"".join(json.dumps(each).encode() + b"\n" for each in events)
    answers = {f"{MAPS}/a": {"metadata": {"name": "a"}}, MAPS: [body[:50], body[50:130], body[130:]]}
    found = await recorded(tmp_path / "r", Answers(answers), asked(f"{MAPS}/a"), asked(f"{MAPS}?watch=true"))
    assert [type(each) for each in found.entries] == [
        Asked,
        Answered,
        Asked,
        Answered,
        Line,
        Line,
        Line,
        Ended,
        LastEntry,
    ]
    assert [msgspec.json.decode(each.line) for each in found.entries if isinstance(each, Line)] == events
    times = [each.t for each in found.entries]
    assert times == sorted(times)
    assert found.header.reconcilers == {"websites": "Website.v1.example.dev"}
    assert found.whole


async def test_the_file_is_its_owners_alone_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "r"
    await recorded(path, Answers({}))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="exists already; a recording overwrites nothing"):
        Recorder(RecordOptions(path=path)).start()
    with pytest.raises(ConfigError, match="cannot be made: No such file or directory"):
        Recorder(RecordOptions(path=tmp_path / "nowhere" / "r")).start()


async def test_a_call_without_an_answer_is_kept_with_its_error_and_a_refusal_is_an_answer(tmp_path: Path) -> None:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": "NotFound",
        "code": 404,
    }
    one = Recorder(RecordOptions(path=tmp_path / "r"))
    one.start()
    lost = Client(RecordingTransport(Answers({f"{MAPS}/a": TransportError("gone")}), one))
    with pytest.raises(TransportError):
        await lost.get(kinds.CONFIG_MAP, "a")
    refused = Client(RecordingTransport(Answers({f"{MAPS}/a": status}, status=404), one))
    with pytest.raises(NotFound):
        await refused.get(kinds.CONFIG_MAP, "a")
    await one.close()
    _, failed, _, answered, _ = read_recording(tmp_path / "r").entries
    assert isinstance(failed, Ended)
    assert failed.error == "TransportError"
    assert isinstance(answered, Answered)
    assert answered.status == 404


async def test_what_is_no_json_is_said_and_not_kept(tmp_path: Path) -> None:
    logs = Answers({"/api/v1/namespaces/default/pods/a/log": b"password is hush\n"}, content_type="text/plain")
    found = await recorded(tmp_path / "r", logs, asked("/api/v1/namespaces/default/pods/a/log", Accept="*/*"))
    answer = found.entries[1]
    assert isinstance(answer, Answered)
    assert answer.omitted == "17 bytes of text/plain"
    assert b"hush" not in gzip.decompress((tmp_path / "r").read_bytes())


# -- what is not in it ---------------------------------------------------------------------------------------------

LONG = st.text(
    st.characters(codec="ascii", exclude_characters='"\\', categories=["L", "N", "P"]), min_size=12, max_size=40
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=st.dictionaries(st.sampled_from(["user", "password", "tls.key"]), LONG, min_size=1), plain=LONG)
def test_no_value_of_a_secret_is_in_the_file_whichever_way_it_went(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str], plain: str
) -> None:
    path = tmp_path_factory.mktemp("recorded") / "r"
    value = secret(**values)
    value["stringData"] = {"more": plain}
    value["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(secret(**values)), "note": "stays"}
    events = json.dumps({"type": "MODIFIED", "object": value}).encode() + b"\n"
    invalid = {
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": f"data: Invalid value: {plain}",
        "details": {"causes": [{"field": "data", "message": plain}]},
    }
    answers = {
        f"{SECRETS}/a": value,
        SECRETS: {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": [value]},
        f"{SECRETS}/bad": invalid,
        "/api/v1/secrets": [events[:30], events[30:]],
        "/apis/authentication.k8s.io/v1/tokenreviews": {
            "kind": "TokenReview",
            "spec": {"token": plain},
            "metadata": {},
        },
        "/api/v1/namespaces/default/serviceaccounts/a/token": {"kind": "TokenRequest", "status": {"token": plain}},
    }
    pointer = [{"op": "replace", "path": "/data/user", "value": plain}, {"op": "add", "path": "/data", "value": values}]
    whole = [{"op": "replace", "path": "", "value": value}]
    asyncio.run(
        recorded(
            path,
            Answers(answers),
            asked(f"{SECRETS}/a"),
            asked(SECRETS),
            asked("/api/v1/secrets?watch=1"),
            asked(f"{SECRETS}/bad"),
            asked(f"{SECRETS}/a", "PUT", value),
            asked(f"{SECRETS}/a", "PATCH", {"data": values}, **{"Content-Type": "application/merge-patch+json"}),
            asked(f"{SECRETS}/a", "PATCH", value, **{"Content-Type": "application/apply-patch+yaml"}),
            asked(f"{SECRETS}/a", "PATCH", pointer, **{"Content-Type": "application/json-patch+json"}),
            asked(f"{SECRETS}/a", "PATCH", whole, **{"Content-Type": "application/json-patch+json"}),
            asked("/apis/authentication.k8s.io/v1/tokenreviews", "POST", {"spec": {"token": plain}}),
            asked("/api/v1/namespaces/default/serviceaccounts/a/token", "POST", {"spec": {}}),
        )
    )
    written = gzip.decompress(path.read_bytes())
    for each in (*values.values(), plain):
        assert each.encode() not in written
        assert base64.b64encode(each.encode()).rstrip(b"=") not in written
    assert b"hush" not in written  # neither the Authorization header nor a cookie
    assert written.count(b'"note":"stays"') == 11
    assert written.count(b'"resourceVersion":"7"') == 11


async def test_equal_values_stay_equal_within_one_recording_and_no_two_recordings_agree(tmp_path: Path) -> None:
    one = {**secret(a="the same", b="the same", c="another"), "stringData": {"d": "the same"}}
    hidden = []
    for name in ("first", "second"):
        found = await recorded(tmp_path / name, Answers({f"{SECRETS}/a": one}), asked(f"{SECRETS}/a"))
        answer = found.entries[1]
        assert isinstance(answer, Answered)
        value = msgspec.json.decode(answer.body)
        texts = {each: base64.b64decode(text).decode() for each, text in value["data"].items()}
        assert texts["a"] == texts["b"] == value["stringData"]["d"] != texts["c"]
        assert texts["a"].startswith(MARK)
        hidden.append(texts["a"])
    assert hidden[0] != hidden[1]


@pytest.mark.parametrize(
    ("rule", "value", "hidden"),
    [
        ("ConfigMap:data.password", {"data": {"password": "hush", "user": "u"}}, ["data", "password"]),
        ("configmaps:data.*", {"data": {"password": "hush"}}, ["data", "password"]),
        (".spec.env[*].value", {"spec": {"env": [{"name": "a"}, {"value": "hush"}]}}, ["spec", "env", 1, "value"]),
        ("spec.env[0]", {"spec": {"env": ["hush", "b"]}}, ["spec", "env", 0]),
        ("metadata.annotations[example.dev/k]", {"metadata": {"annotations": {"example.dev/k": "hush"}}}, ["metadata"]),
        ("data.number", {"data": {"number": 4711}}, ["data", "number"]),
    ],
)
def test_a_path_that_is_named_is_hidden_and_what_repeats_it_too(
    rule: str, value: dict[str, Any], hidden: list[Any]
) -> None:
    value.setdefault("metadata", {}).setdefault("annotations", {})[LAST_APPLIED] = "hush 4711"
    redaction = Redaction([rule])
    path = ApiPath.parse(MAPS)
    found = redaction.apply(redaction.rules_for(path), json.loads(json.dumps(value)))
    text = json.dumps(found)
    assert "hush" not in text
    assert "4711" not in text
    assert MARK in json.dumps(_at(found, hidden))
    assert redaction.unused == []


def _at(value: Any, path: list[Any]) -> Any:
    for each in path:
        value = value[each]
    return value


@pytest.mark.parametrize("wrong", ["", "Pod:", "a..b", "spec[", "spec.env[]"])
def test_a_path_that_is_none_is_refused_before_anything_is_recorded(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot redact"):
        RecordOptions(path=tmp_path / "r", redact=(wrong,))


async def test_a_rule_that_nothing_matched_is_said_for_it_may_be_mistyped(tmp_path: Path) -> None:
    value = {"kind": "ConfigMap", "metadata": {}, "data": {"password": "x"}}
    rules = ("ConfigMap:data.pasword", "ConfigMap:data.password")
    found = await recorded(tmp_path / "r", Answers({f"{MAPS}/a": value}), asked(f"{MAPS}/a"), redact=rules)
    last = found.entries[-1]
    assert isinstance(last, LastEntry)
    assert last.unused == ["ConfigMap:data.pasword"]


# -- how it ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        ({"size_max_bytes": 4096}, "it is as large as it may be: 4096 bytes"),
        ({"time_max_s": 0.01}, "its time is over: 0.01 s"),
    ],
)
async def test_at_its_limit_a_recording_ends_whole_and_calls_go_on(
    tmp_path: Path, limit: dict[str, Any], why: str
) -> None:
    one = Recorder(RecordOptions(path=tmp_path / "r", **limit))
    noise = {"data": base64.b64encode(bytes(range(256)) * 4).decode()}
    client = Client(RecordingTransport(Answers({f"{MAPS}/a": {"kind": "ConfigMap", "metadata": {}, **noise}}), one))
    one.start()

    async def over() -> bool:
        assert (await client.get(kinds.CONFIG_MAP, "a")).kind == "ConfigMap"
        return not one.running

    await wait_until(over, what="the limit", timeout_s=30.0, interval_s=0.001)
    await one.close()
    last = read_recording(tmp_path / "r").entries[-1]
    assert isinstance(last, LastEntry)
    assert last.why == why
    assert (tmp_path / "r").stat().st_size < 64 * 1024


async def test_a_disk_that_hangs_holds_up_nobody_and_ends_the_recording_when_too_much_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = threading.Event()
    monkeypatch.setattr(recorder, "BACKLOG_MAX_BYTES", 100_000)
    take = recorder._File.take

    def slow(self: Any, *told: Any) -> None:
        disk.wait()
        take(self, *told)

    monkeypatch.setattr(recorder._File, "take", slow)
    one = Recorder(RecordOptions(path=tmp_path / "r"))
    client = Client(RecordingTransport(Answers({f"{MAPS}/a": {"metadata": {}, "data": {"a": "x" * 10_000}}}), one))
    one.start()
    for _ in range(20):
        await client.request_json("GET", f"{MAPS}/a")
    assert not one.running  # it gave up, while the disk still hangs
    disk.set()
    await one.close()
    last = read_recording(tmp_path / "r").entries[-1]
    assert isinstance(last, LastEntry)
    assert last.why.startswith("the disk is too slow")


async def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, *told: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recorder._File, "take", full)
    one = Recorder(RecordOptions(path=tmp_path / "r"))
    client = Client(RecordingTransport(Answers({f"{MAPS}/a": {"metadata": {}}}), one))
    one.start()

    async def ended() -> bool:
        await client.request_json("GET", f"{MAPS}/a")
        return not one.running

    await wait_until(ended, what="the recording has ended", timeout_s=10.0, interval_s=0.01)
    await one.close()
    with pytest.raises(RecordingError, match="breaks off after 0 entries"):
        read_recording(tmp_path / "r")


async def test_what_was_written_before_a_kill_can_be_read_partially(tmp_path: Path) -> None:
    path = tmp_path / "r"
    one = Recorder(RecordOptions(path=path))
    client = Client(RecordingTransport(Answers({f"{MAPS}/a": {"metadata": {}}}), one))
    one.start()
    await client.request_json("GET", f"{MAPS}/a")

    async def flushed() -> bool:
        return path.stat().st_size > 100 and len(read_recording(path, partial=True).entries) == 2

    await wait_until(flushed, what="the first call is on disk", timeout_s=20.0, interval_s=0.05)
    left = path.read_bytes()  # as a SIGKILL would leave it
    await one.close()
    killed = tmp_path / "killed"
    killed.write_bytes(left)
    with pytest.raises(RecordingError, match=r"breaks off after 2 entries \(0\.\d s\).*--partial"):
        read_recording(killed)
    found = read_recording(killed, partial=True)
    assert not found.whole
    assert [type(each) for each in found.entries] == [Asked, Answered]


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
async def test_a_file_that_was_cut_is_said_to_break_off_wherever_it_was(tmp_path: Path, keep: float) -> None:
    requests = [asked(f"{MAPS}/a") for _ in range(50)]
    await recorded(tmp_path / "r", Answers({f"{MAPS}/a": {"metadata": {"name": "a"}}}), *requests)
    whole = (tmp_path / "r").read_bytes()
    (tmp_path / "r").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(RecordingError, match=r"breaks off after|is no recording"):
        read_recording(tmp_path / "r")


def test_a_file_of_another_format_is_refused_with_both_versions(tmp_path: Path) -> None:
    header = {"ckrec": FORMAT_VERSION + 1, "controllerkit": "9.9.0", "at": "2026-01-01T00:00:00+00:00"}
    (tmp_path / "r").write_bytes(gzip.compress(json.dumps(header).encode() + b"\n"))
    with pytest.raises(RecordingError) as raised:
        read_recording(tmp_path / "r")
    assert f"has format {FORMAT_VERSION + 1} (written by controllerkit 9.9.0)" in str(raised.value)
    assert f"reads format {FORMAT_VERSION}" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"kind: Pod\n", "is no recording"),
        (b"", "is no recording"),
        (gzip.compress(b"text\n"), "is no recording"),
        (gzip.compress(b'{"ckrec":1,"controllerkit":"1","at":"x"}\n{"is":"what"}\n'), "entry 1 is none of format 1"),
    ],
)
def test_what_is_no_recording_is_said(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "r").write_bytes(content)
    with pytest.raises(RecordingError, match=sentence):
        read_recording(tmp_path / "r")
    with pytest.raises(RecordingError, match="cannot be read: No such file"):
        read_recording(tmp_path / "nowhere")


async def test_nothing_is_recorded_before_the_start_and_after_the_end(tmp_path: Path) -> None:
    one = Recorder(RecordOptions(path=tmp_path / "r"))
    client = Client(RecordingTransport(Answers({f"{MAPS}/a": {"metadata": {}}}), one))
    await client.request_json("GET", f"{MAPS}/a")
    one.start()
    await one.close()
    await one.close()
    await client.request_json("GET", f"{MAPS}/a")
    assert [type(each) for each in read_recording(tmp_path / "r").entries] == [LastEntry]


async def test_telling_costs_the_loop_little_even_for_a_large_list(tmp_path: Path) -> None:
    items = [{"metadata": {"name": f"a{n}"}, "data": {"a": "x" * 200}} for n in range(2000)]
    one = Recorder(RecordOptions(path=tmp_path / "r"))
    one.start()
    body = json.dumps({"kind": "ConfigMapList", "metadata": {}, "items": items}).encode()
    number = one.asked(asked(MAPS))
    began = time.thread_time()
    one.answered(number, 200, {"Content-Type": "application/json"})
    one.body(number, body)
    one.ended(number)
    assert time.thread_time() - began < 0.01  # the work is the thread's
    await one.close()
    assert len(read_recording(tmp_path / "r").entries) == 3
