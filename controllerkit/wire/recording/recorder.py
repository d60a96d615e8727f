"""Who writes a recording: a thread of its own, so that a slow disk never holds up the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import threading
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import msgspec

from controllerkit.errors import ConfigError
from controllerkit.runtime import Clock, SystemClock, get_logger
from controllerkit.wire.recording import entries
from controllerkit.wire.recording.entries import FORMAT_VERSION, NOTHING, Header, LastEntry
from controllerkit.wire.recording.paths import ApiPath
from controllerkit.wire.recording.redaction import Redaction, Rule
from controllerkit.wire.transport import WireRequest

__all__ = ["RecordOptions", "Recorder"]

SIZE_MAX_BYTES: Final = 64 * 2**20
"""A replay holds all of it in memory, ten to twenty times as large as it is compressed."""

BACKLOG_MAX_BYTES: Final = 64 * 2**20
"""So much may wait for the disk; a recording that falls further behind ends, rather than have holes."""

FLUSH_S: Final = 1.0
"""What is older than this can be read even if the process is killed."""

BATCH_S: Final = 0.02
"""The thread works on what has come within this time together: two threads that take turns for each event slow down
the one that matters."""

BLOCK_BYTES: Final = 64 * 1024
CLOSE_S: Final = 10.0
GZIP_LEVEL: Final = 1
_JSON: Final = "application/json"
_JSON_TYPES: Final = (_JSON, "application/json-patch+json", "application/merge-patch+json")
_PATCH_TYPES: Final = ("application/strategic-merge-patch+json", "application/apply-patch+yaml")

_encoder: Final = msgspec.json.Encoder()
_raw_decoder: Final = msgspec.json.Decoder(msgspec.Raw)
_decoder: Final = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    """What is recorded where.

    Attributes:
        path: must not exist yet; it is made readable by its owner alone (0600).
        redact: what is hidden beside Secrets and tokens, as ``[KIND:]PATH``; see `Redaction`.
        size_max_bytes: of the file; then the recording ends, and the operator goes on.
        time_max_s: the same after so long; None: for ever.
    Raises:
        ConfigError: a limit is not positive, or a path to redact is none.
    """

    path: Path
    redact: tuple[str, ...] = ()
    size_max_bytes: int = SIZE_MAX_BYTES
    time_max_s: float | None = None

    def __post_init__(self) -> None:
        if self.size_max_bytes <= 0 or (self.time_max_s is not None and self.time_max_s <= 0):
            raise ConfigError(f"the limits of a recording must be more than 0: {self}")
        for each in self.redact:
            Rule.parse(each)


@dataclass(slots=True)
class _Exchange:
    """What the writing thread knows of an exchange that is going on."""

    rules: tuple[Rule, ...]
    watching: bool
    status: int = 0
    content_type: str = ""
    retry_after: str = ""
    body: bytearray = field(default_factory=bytearray)
    told: bool = False


class Recorder:
    """Takes what `RecordingTransport` tells it, and writes it to a file.

    Guarantees:
        No call waits for the disk. Everything is redacted before it is written (`Redaction`). The file is whole once
        `close` returned: it ends with a `LastEntry`. Before that what is older than ``FLUSH_S`` can be read.
        Where it must end early – its limits, a full disk, a disk too slow – it says why in the log and, as far as it
        can, in the file; nothing else is disturbed.

    Raises:
        ConfigError: from ``start``, where the file exists or cannot be made.
    """

    def __init__(self, options: RecordOptions, *, clock: Clock | None = None, log: Any = None) -> None:
        self.options = options
        self.redaction = Redaction(options.redact)
        self.running = False
        self._clock = clock or SystemClock()
        self._log = (log or get_logger()).bind(recording=str(options.path))
        self._began = 0.0
        self._count = 0
        self._put_bytes = 0  # written by the loop alone
        self._done_bytes = 0  # written by the thread alone
        self._queue: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(
        self,
        reconcilers: Mapping[str, str] | None = None,
        *,
        sharded: bool = False,
        namespaces: Iterable[str] = (),
        namespace: str = "default",
    ) -> None:
        """Makes the file and records from now on; what is said here is kept in its `Header`."""
        path = self.options.path
        try:
            raw = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except FileExistsError:
            raise ConfigError(f"{path} exists already; a recording overwrites nothing: name another file") from None
        except OSError as error:
            raise ConfigError(f"{path} cannot be made: {error.strerror}") from error
        self._began = self._clock.monotonic()
        header = Header(
            ckrec=FORMAT_VERSION,
            controllerkit=_own_version(),
            at=self._clock.utcnow().isoformat(timespec="microseconds"),
            reconcilers=dict(reconcilers or {}),
            redacted=[str(rule) for rule in self.redaction.rules],
            sharded=sharded,
            namespaces=list(namespaces),
            namespace=namespace,
        )
        self.running = True
        file = _File(raw, header, self.redaction)
        self._thread = threading.Thread(target=self._write, args=(file,), name=f"recorder of {path}", daemon=True)
        self._thread.start()

    async def close(self, why: str = "the operator stopped") -> None:
        """Writes what is left and ends the file. Safe to call twice, and where it was not started."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self.running:
            self._end(why)
        await asyncio.get_running_loop().run_in_executor(None, thread.join, CLOSE_S)
        if thread.is_alive():
            self._log.error("recording_unfinished", waited_s=CLOSE_S, cure="the disk is too slow; read it partially")

    # -- what happens, told from the event loop --------------------------------------------------------------------

    def asked(self, request: WireRequest) -> int:
        """A request goes out; its number."""
        self._count += 1
        told = (request.method, request.path, dict(request.headers), request.body)
        self._tell("asked", self._count, told, len(request.body or b""))
        return self._count

    def answered(self, number: int, status: int, headers: Mapping[str, str]) -> None:
        """The head of an answer."""
        self._tell("answered", number, (status, headers.get("Content-Type", ""), headers.get("Retry-After", "")), 0)

    def body(self, number: int, part: bytes) -> None:
        """Some of its body, or all of it."""
        self._tell("body", number, (part,), len(part))

    def ended(self, number: int, error: str = "") -> None:
        """The exchange is over."""
        self._tell("ended", number, (error,), 0)

    def passed(self, controller: str, key: str, waited_s: float) -> None:
        """A reconcile begins."""
        self._tell("entry", 0, (entries.Passed(self._now(), controller, key, round(waited_s, 6)),), 0)

    def stopping(self, ready: Iterable[tuple[str, str]]) -> None:
        """The operator was told to stop; see `Stopping`."""
        self._tell("entry", 0, (entries.Stopping(self._now(), list(ready)),), 0)

    def _now(self) -> float:
        return round(self._clock.monotonic() - self._began, 6)

    def _tell(self, what: str, number: int, told: tuple[Any, ...], size: int) -> None:
        if not self.running:
            return
        self._put_bytes += size
        self._queue.put((what, self._now(), number, told, size))
        if self._put_bytes - self._done_bytes > BACKLOG_MAX_BYTES:
            self._end(f"the disk is too slow: {BACKLOG_MAX_BYTES // 2**20} MiB wait for it")

    def _end(self, why: str) -> None:
        self.running = False
        self._queue.put(("last", self._now(), 0, (why,), 0))
        self._ending.set()

    # -- the thread ------------------------------------------------------------------------------------------------

    def _next(self) -> tuple[Any, ...]:
        """What was told next; nothing, named "", after a while without."""
        if self._queue.empty():
            self._ending.wait(BATCH_S)
        try:
            return self._queue.get(timeout=FLUSH_S)
        except Empty:
            return "", self._now(), 0, (), 0

    def _write(self, file: _File) -> None:
        """Until the last entry."""
        limits, why = self.options, ""
        try:
            with file:
                while not why:
                    what, t, number, told, size = self._next()
                    file.flush_if_older(t)
                    if what == "last":
                        why = told[0]
                    elif limits.time_max_s is not None and t > limits.time_max_s:
                        why = f"its time is over: {limits.time_max_s:g} s"
                    elif file.size > limits.size_max_bytes:
                        why = f"it is as large as it may be: {limits.size_max_bytes} bytes"
                    else:
                        file.take(what, t, number, told)
                    self._done_bytes += size
                self.running = False
                file.end(t, why)
        except OSError as error:
            why = f"the disk: {error.strerror}"
        finally:
            self.running = False
        report = self._log.info if why == "the operator stopped" else self._log.warning
        report("recording_ended", why=why, bytes=file.size, entries=file.count)
        if unused := self.redaction.unused:
            self._log.warning("redaction_unused", paths=unused, cure="nothing of that path was seen: is it right?")


class _File:
    """The file, and what must be known of open exchanges to write it. Used by the writing thread alone."""

    def __init__(self, raw: Any, header: Header, redaction: Redaction) -> None:
        self.count = 0
        self._raw = raw
        self._file = gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=GZIP_LEVEL, mtime=0)
        self._redaction = redaction
        self._exchanges: dict[int, _Exchange] = {}
        self._flushed_at = 0.0
        self._block = bytearray()
        self._dirty = False
        self.size = 0
        self._line(header)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the first failure was told; this one is its echo
            self._write_block()
            self._file.close()
            self.size = self._raw.tell()
        with contextlib.suppress(OSError):
            self._raw.close()

    def flush_if_older(self, t: float) -> None:
        """Makes what was written readable, once in a while."""
        if self._dirty and t - self._flushed_at >= FLUSH_S:
            self._write_block()
            self._file.flush(zlib.Z_SYNC_FLUSH)
            self._raw.flush()
            self.size, self._flushed_at, self._dirty = self._raw.tell(), t, False

    def _line(self, entry: msgspec.Struct) -> None:
        self._block += _encoder.encode(entry)
        self._block += b"\n"
        self._dirty = True
        if len(self._block) >= BLOCK_BYTES:
            self._write_block()

    def _write_block(self) -> None:
        """Compresses many lines in one go, during which the event loop can run."""
        block, self._block = self._block, bytearray()
        self._file.write(block)
        self.size = self._raw.tell()

    def _entry(self, entry: msgspec.Struct) -> None:
        self.count += 1
        self._line(entry)

    def end(self, t: float, why: str) -> None:
        """The last line."""
        self._entry(LastEntry(t, why, self.count + 1, self._redaction.unused))

    def take(self, what: str, t: float, number: int, told: tuple[Any, ...]) -> None:
        """Writes what was told by the loop."""
        match what:
            case "asked":
                self._asked(t, number, *told)
            case "answered" if exchange := self._exchanges.get(number):
                exchange.status, exchange.content_type, exchange.retry_after = told
                if exchange.watching and exchange.status == 200:
                    self._entry(entries.Answered(t, number, 200, exchange.content_type))
                    exchange.told = True
            case "body" if exchange := self._exchanges.get(number):
                exchange.body += told[0]
                if exchange.told:
                    self._lines(t, number, exchange)
            case "ended" if exchange := self._exchanges.pop(number, None):
                self._ended(t, number, exchange, told[0])
            case "entry":
                self._entry(told[0])
            case _:
                pass

    def _asked(self, t: float, number: int, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        parsed = ApiPath.parse(path)
        rules = self._redaction.rules_for(parsed)
        watching = method == "GET" and parsed is not None and parsed.watching
        self._exchanges[number] = _Exchange(rules, watching)
        content_type = headers.get("Content-Type", "")
        kept, omitted = self._body(bytes(body or b""), content_type, rules)
        self._entry(entries.Asked(t, number, method, path, headers.get("Accept", ""), content_type, kept, omitted))

    def _lines(self, t: float, number: int, exchange: _Exchange) -> None:
        *lines, rest = bytes(exchange.body).split(b"\n")
        exchange.body = bytearray(rest)
        for line in lines:
            kept, omitted = self._body(line, _JSON, exchange.rules)
            if line and not omitted:
                self._entry(entries.Line(t, number, kept))

    def _ended(self, t: float, number: int, exchange: _Exchange, error: str) -> None:
        """An error is one of the connection only where there is no whole answer: callers raise refusals in here."""
        whole = False
        if exchange.status and not exchange.told:
            body, omitted = self._body(bytes(exchange.body), exchange.content_type, exchange.rules)
            told = (exchange.status, exchange.content_type, exchange.retry_after, body, omitted)
            whole = not error or (body is not NOTHING and not omitted)
            if whole:
                self._entry(entries.Answered(t, number, *told))
        if not whole:
            self._entry(entries.Ended(t, number, error))

    def _body(self, body: bytes, content_type: str, rules: tuple[Rule, ...]) -> tuple[msgspec.Raw, str]:
        """As it is written, and what is said in its place where it is not."""
        if not body.strip():
            return NOTHING, ""
        plain = content_type.partition(";")[0].strip()
        omitted = f"{len(body)} bytes of {plain or 'unknown type'}"
        if plain not in (*_JSON_TYPES, *_PATCH_TYPES):
            return NOTHING, omitted
        try:
            if rules:
                return msgspec.Raw(_encoder.encode(self._redaction.apply(rules, _decoder.decode(body)))), ""
            kept = _raw_decoder.decode(body)
            return (kept if b"\n" not in bytes(kept) else msgspec.Raw(_encoder.encode(_decoder.decode(body)))), ""
        except (msgspec.DecodeError, RecursionError):
            return NOTHING, omitted


def _own_version() -> str:
    try:
        return version("controllerkit")
    except PackageNotFoundError:
        return "unknown"
