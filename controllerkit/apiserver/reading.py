"""List and watch as decisions: which objects, of which revision, in which pages; which events for whom."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from controllerkit.apiserver.events import core_field
from controllerkit.apiserver.requests import Target
from controllerkit.apiserver.resources import Resource
from controllerkit.apiserver.status import CONTINUE, FieldError, expired, invalid, too_large_resource_version
from controllerkit.apiserver.storage import Collection, EventType, Item, LogEvent, Store
from controllerkit.errors import ApiError, BadRequest
from controllerkit.objects import FieldSelector, LabelSelector

__all__ = ["ListOptions", "Page", "Selection", "list_page", "watch_start"]

_TRUE: Final = ("true", "1", "True", "t", "T", "TRUE")
COMPACTED: Final = "The resourceVersion for the provided watch is too old."
CONTINUE_EXPIRED: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a collection a request sees."""

    namespace: str = ""
    name: str = ""
    labels: LabelSelector | None = None
    fields: FieldSelector | None = None

    def matches(self, item: Item) -> bool:
        """Namespace, name and both selectors."""
        if self.namespace and item.namespace != self.namespace:
            return False
        if self.name and item.name != self.name:
            return False
        if self.labels is not None and not self.labels.matches(item.labels):
            return False
        if self.fields is None:
            return True
        known = {"metadata.name": item.name, "metadata.namespace": item.namespace, **item.fields}
        return self.fields.matches(known)

    def transition(self, event: LogEvent) -> tuple[EventType, Item] | None:
        """What the event is to someone who sees only this selection.

        An object that stops matching is DELETED for them, with the state they last saw; one that starts to match
        is ADDED.
        """
        if event.type == "DELETED":
            before = event.previous
            return ("DELETED", event.item) if before is None or self.matches(before) else None
        now = self.matches(event.item)
        before_matched = event.previous is not None and self.matches(event.previous)
        if now:
            return ("MODIFIED" if before_matched else "ADDED", event.item)
        return ("DELETED", event.previous) if before_matched and event.previous is not None else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ListOptions:
    """Query parameters of list and watch, checked."""

    selection: Selection
    rv: str = ""
    rv_match: str = ""
    limit: int = 0
    continue_token: str = ""
    watch: bool = False
    timeout_s: float | None = None
    bookmarks: bool = False
    initial_events: bool = False

    @classmethod
    def parse(cls, query: Mapping[str, str], target: Target, *, watch: bool) -> ListOptions:
        """From the query.

        Raises:
            BadRequest: a selector or number that cannot be read.
            Invalid: parameters that do not go together.
        """
        options = cls(
            selection=_selection(query, target),
            rv=query.get("resourceVersion", ""),
            rv_match=query.get("resourceVersionMatch", ""),
            limit=_integer(query, "limit"),
            continue_token=query.get("continue", ""),
            watch=watch,
            timeout_s=_integer(query, "timeoutSeconds") or None,
            bookmarks=query.get("allowWatchBookmarks") in _TRUE,
            initial_events=query.get("sendInitialEvents") in _TRUE,
        )
        errors = list(_check(options, "sendInitialEvents" in query))
        if errors:
            raise invalid("meta.k8s.io", "ListOptions", "", errors)
        return options


def _selection(query: Mapping[str, str], target: Target) -> Selection:
    labels = LabelSelector.parse(query["labelSelector"]) if query.get("labelSelector") else None
    fields = _field_selector(query["fieldSelector"], target) if query.get("fieldSelector") else None
    return Selection(target.namespace, target.name, labels, fields)


def _field_selector(text: str, target: Target) -> FieldSelector:
    try:
        selector = FieldSelector.parse(text)
    except BadRequest as error:
        raise BadRequest(f"invalid selector: '{text}'; can't understand '{text}'") from error
    resource = target.resource
    if resource.group == "events.k8s.io":
        selector = FieldSelector(tuple((core_field(path), equal, value) for path, equal, value in selector.terms))
    allowed = {"metadata.name", *(("metadata.namespace",) if resource.namespaced or not resource.custom else ())}
    allowed |= set(target.version.selectable if resource.custom else resource.fields)
    for path, _, _ in selector.terms:
        if path not in allowed:
            raise BadRequest(_unknown_field(resource, path))
    return selector


def _unknown_field(resource: Resource, path: str) -> str:
    if resource.custom or resource.fields:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def _integer(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    try:
        return int(text) if text else 0
    except ValueError as error:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


_MATCH: Final = "resourceVersionMatch"


def _check(options: ListOptions, initial_given: bool) -> Iterator[FieldError]:
    match, rv = options.rv_match, options.rv
    if options.watch:
        if match and not initial_given:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            yield FieldError.forbidden(_MATCH, why)
        if initial_given and match != "NotOlderThan":
            why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            yield FieldError.forbidden(_MATCH, why)
        if match and match != "NotOlderThan":
            yield FieldError.unsupported(_MATCH, match, ("NotOlderThan",))
        return
    if initial_given:
        yield FieldError.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if not match:
        return
    if not rv:
        yield FieldError.forbidden(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided")
    if options.continue_token:
        yield FieldError.forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided")
    if match not in ("Exact", "NotOlderThan"):
        yield FieldError.unsupported(_MATCH, match, ("Exact", "NotOlderThan", ""))
    elif match == "Exact" and rv == "0":
        yield FieldError.forbidden(_MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: objects of one revision, and how to go on."""

    items: Sequence[Item]
    rv: int
    continue_token: str = ""
    remaining: int | None = None


def parse_rv(text: str) -> int:
    """A resourceVersion as a number.

    Raises:
        BadRequest: it is none.
    """
    if not text.isdigit():
        raise BadRequest(
            f'invalid resource version: resourceVersion: Invalid value: "{text}": strconv.ParseUint: '
            f'parsing "{text}": invalid syntax'
        )
    return int(text)


def encode_continue(rv: int, key: str) -> str:
    """Opaque to clients: the revision the list is of, and the last key it has shown."""
    token = msgspec.json.encode({"v": "meta.k8s.io/v1", "rv": rv, "start": key})
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _decode_continue(text: str) -> tuple[int, str]:
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return int(token["rv"]), str(token["start"])
    except (binascii.Error, ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
        raise BadRequest(f"invalid continue token: continue key is not valid: {error}") from error


def list_page(store: Store, collection: Collection, options: ListOptions) -> Page:
    """The page a list asks for.

    Raises:
        Expired: the revision asked for, or that of the continue token, is no longer known.
        ServerTimeout: the revision asked for is not reached yet.
    """
    selection, limit = options.selection, options.limit
    rv, after = store.rv, ""
    if options.continue_token:
        if options.rv and options.rv != "0":
            raise BadRequest("specifying resource version is not allowed when using continue")
        rv, after = _decode_continue(options.continue_token)
        if rv < 0:
            rv = store.rv
        elif rv < collection.log.oldest_rv:
            raise _continue_expired(after)
    elif options.rv and options.rv != "0":
        wanted = parse_rv(options.rv)
        if wanted > store.rv:
            raise too_large_resource_version(wanted, store.rv)
        exact = options.rv_match == "Exact" or (limit > 0 and not options.rv_match)
        if exact:
            if wanted < max(collection.log.oldest_rv, 1):
                raise expired(
                    "The provided resource version is too old to display a consistent list result. "
                    "You must start a new list without the resourceVersion."
                )
            rv = wanted
    source = collection.scan_at(rv, selection.namespace, after=after)
    # resourceVersion "0" may be served from a cache, which knows no pages.
    if options.rv == "0" and not options.continue_token:
        limit = 0
    return _cut([item for item in source if selection.matches(item)], rv, limit, selection)


def _cut(items: list[Item], rv: int, limit: int, selection: Selection) -> Page:
    if limit <= 0 or len(items) <= limit:
        return Page(items, rv)
    shown = items[:limit]
    # With a selector the rest is not counted: the real server would have to read it.
    remaining = len(items) - limit if selection.labels is None and selection.fields is None else None
    return Page(shown, rv, encode_continue(rv, shown[-1].key), remaining)


def _continue_expired(after: str) -> ApiError:
    error = expired(CONTINUE_EXPIRED)
    # ListMeta.continue of the Status: the list goes on from here, of the newest revision.
    error.details = {CONTINUE: encode_continue(-1, after)}
    return error


def watch_start(store: Store, collection: Collection, options: ListOptions) -> tuple[int, bool]:
    """The revision a watch starts after, and whether the present objects come first as ADDED.

    Raises:
        Expired: the events since then are no longer known.
        ApiError: the resourceVersion is no number.
    """
    if options.rv in ("", "0"):
        send = options.initial_events or options.rv == "0" or not options.rv_match
        return store.rv, send
    if not options.rv.isdigit():
        why = f'strconv.ParseUint: parsing "{options.rv}": invalid syntax'
        raise ApiError(f'resourceVersion: Invalid value: "{options.rv}": {why}', code=500, reason="")
    wanted = int(options.rv)
    if options.initial_events:
        return max(wanted, store.rv), True
    if wanted < collection.log.oldest_rv:
        raise expired(f"too old resource version: {wanted} ({collection.log.oldest_rv + 1})")
    return wanted, False


def with_revision(value: dict[str, Any], rv: int) -> dict[str, Any]:
    """The object as a DELETED event shows it: its last state at the revision of the event."""
    value["metadata"]["resourceVersion"] = str(rv)
    return value
