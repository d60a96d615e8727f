"""Who works on which key, among the replicas of one ring: pure.

Every replica has a Lease. In it stands, beside the time of its renewal, what the replica may work on: its *view*, the
names of those among whom keys are shared out (`owner`: rendezvous hashing, so a change of the view moves only the
keys of who came or went), and *still*, the keys in work that this view gives to somebody else.

A replica works on a key only while

1. its own Lease is valid by its own clock, counted from before the last renewal was sent;
2. in a list of the ring's Leases that was asked for *after* its view was stored, no other Lease claimed the key: by
   its view, or as one that it is still working on;
3. every view that others may have read of it since that list gives it the key too. A write whose answer did not come
   may have been done, so a view counts from before it is sent, and until the next such list.

A Lease that did not change for its duration, by the clock of whoever looks, is deleted (with its resourceVersion as
precondition), so its holder cannot renew it; to hold no Lease any more is to have lost it for ever.

Two replicas never work on one key at once. Both would have told a view that claims the key, and each would have
listed after that and found no claim of the other; but the stores of the two views have an order, and whoever came
second found the first one's claim. A claim ends only by storing a view without it, when the key is no longer worked
on or is named in *still*; or with the Lease, which its holder has given up by then (1).

Every key gets an owner: the views follow the Leases there are, so once these do not change all views are the same,
and one replica's claim is left; nobody waits for anybody but the end of the work on keys that move.

Assumptions: monotonic clocks run at nearly the same speed; lists are consistent (no ``resourceVersion``); what
a replica does to the world outside the API server ends when its tasks are cancelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final

from controllerkit.objects import Key, Kind, Object

__all__ = ["RING_LABEL", "Claims", "Grant", "Listed", "Member", "Ring", "member_of", "member_to", "owner", "token_of"]

RING_LABEL: Final = "controllerkit.dev/shard-ring"
VIEW: Final = "controllerkit.dev/shard-view"
STILL: Final = "controllerkit.dev/shard-still"

View = tuple[str, ...]


def token_of(kind: Kind, key: Key) -> str:
    """What is hashed: group, kind, namespace and name; not the version, which may change under a key.

    >>> token_of(Kind("apps", "v1", "Deployment", "deployments"), Key("default", "web"))
    'apps/Deployment/default/web'
    """
    return f"{kind.group}/{kind.kind}/{key.namespace}/{key.name}"


def owner(token: str, view: View) -> str:
    """The member with the highest weight for ``token``; "" where there is none.

    >>> owner("apps/Deployment/default/web", ())
    ''
    """
    return max(view, key=lambda name: (_weight(name, token), name), default="")


def _weight(name: str, token: str) -> bytes:
    return blake2b(f"{name}\n{token}".encode(), digest_size=8).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a replica says that it may work on. An empty view: it is leaving."""

    view: View = ()
    still: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a Lease of the ring says. ``run`` is unique to one run of one process; names may come again."""

    name: str
    run: str
    version: str
    duration_s: int
    claims: Claims

    def claim(self, token: str) -> bool:
        """Whether it may work on the key."""
        return token in self.claims.still or owner(token, self.claims.view) == self.name


def member_of(lease: Object) -> Member:
    """What ``lease`` says."""
    said = lease.annotations
    return Member(
        name=lease.name,
        run=lease.spec.get("holderIdentity") or "",
        version=lease.resource_version,
        duration_s=lease.spec.get("leaseDurationSeconds") or 0,
        claims=Claims(view=_split(said.get(VIEW, "")), still=frozenset(_split(said.get(STILL, "")))),
    )


def member_to(lease: dict[str, Any], claims: Claims, ring: str) -> dict[str, Any]:
    """``lease`` as a member of ``ring`` that says ``claims``."""
    metadata = lease["metadata"]
    said = {VIEW: "\n".join(claims.view), STILL: "\n".join(sorted(claims.still))}
    metadata["labels"] = {**(metadata.get("labels") or {}), RING_LABEL: ring}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **said}
    return lease


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()


@dataclass(frozen=True, slots=True)
class Grant:
    """What was found to be a replica's own: the keys its view gives it and nobody of ``others`` claims."""

    name: str
    view: View
    others: tuple[Member, ...] = ()

    def has(self, token: str) -> bool:
        """Whether the key is among them."""
        return owner(token, self.view) == self.name and not any(each.claim(token) for each in self.others)


@dataclass(frozen=True, slots=True)
class Listed:
    """What follows from a list: Leases to delete, and which keys came, where some may have."""

    expired: tuple[Member, ...] = ()
    gained: Callable[[str], bool] | None = None


class Ring:
    """One replica's part in a ring; see the module for the rules.

    Attributes:
        leaving: nothing is claimed any more but what is still in work.
        lost: the Lease is not this run's any more.
        valid_until: the monotonic time at which the Lease ends; None while there is none.
        members: who shares, as of the last list.
        grant: what was found to be ours; None before the first time.
    """

    def __init__(self, name: str, run: str, *, duration_s: int) -> None:
        self.name = name
        self.run = run
        self.leaving = False
        self.lost = False
        self.valid_until: float | None = None
        self.members: View = ()
        self.grant: Grant | None = None
        self._duration_s = duration_s
        self._told: list[View] = []  # since the list that the grant is from
        self._stored: View | None = None  # None while that is not known
        self._in_work: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._seen: dict[str, tuple[str, float]] = {}

    # -- keys ------------------------------------------------------------------------------------------------------

    def has(self, token: str, now: float) -> bool:
        """Whether this replica may begin to work on the key."""
        if self.grant is None or self.valid_until is None or now >= self.valid_until or self.lost:
            return False
        return all(owner(token, view) == self.name for view in self._told) and self.grant.has(token)

    def take(self, token: str, now: float) -> bool:
        """``has``, and if so the key is in work until ``done``; any number of times."""
        if self.has(token, now):
            self._in_work[token] += 1
            return True
        if self.grant is not None and self.grant.has(token):
            self._refused.add(token)  # it may be given back without a change of the grant that would tell
        return False

    def done(self, token: str) -> bool:
        """The end of the work; whether others wait for it."""
        self._in_work[token] -= 1
        if self._in_work[token] > 0:
            return False
        del self._in_work[token]
        return bool(self._told) and owner(token, self._told[-1]) != self.name

    @property
    def in_work(self) -> frozenset[str]:
        """The keys in work."""
        return frozenset(self._in_work)

    # -- the Lease -------------------------------------------------------------------------------------------------

    def listed(self, leases: Iterable[Member], now: float) -> Listed:
        """The ring's Leases as a list shows them that was asked for after the last answer to a write."""
        found = {each.name: each for each in leases}
        mine = found.get(self.name)
        if mine is not None and mine.run == self.run:
            del found[self.name]
        elif self.valid_until is not None:
            self.lost = True
            return Listed()
        self._seen = {
            name: seen if (seen := self._seen.get(name)) and seen[0] == each.version else (each.version, now)
            for name, each in found.items()
        }
        expired = [
            each for each in found.values() if now - self._seen[each.name][1] > (each.duration_s or self._duration_s)
        ]
        self.members = tuple(sorted(each.name for each in found.values() if each.claims.view))
        return Listed(tuple(expired), self._granted(tuple(found.values())))

    def _granted(self, others: tuple[Member, ...]) -> Callable[[str], bool] | None:
        view = self._stored
        if view is None:
            return None
        self._told = [view]
        # Who has the same view and nothing else in work claims nothing of ours; a mere renewal changes nothing.
        claiming = tuple(replace(each, version="") for each in others if _differs(each, view))
        before, after = self.grant, Grant(self.name, view, claiming)
        if after == before and not self._refused:
            return None
        self.grant = after
        refused, self._refused = self._refused, set()
        return lambda token: after.has(token) and (before is None or not before.has(token) or token in refused)

    def claims(self) -> Claims:
        """What is to be stored next. From now on no key is taken that it does not claim."""
        view = () if self.leaving else tuple(sorted({self.name, *self.members}))
        if view != self._stored:
            self._stored = None
        if view in self._told:
            self._told.remove(view)
        self._told.append(view)
        return Claims(view=view, still=frozenset(each for each in self._in_work if owner(each, view) != self.name))

    def stored(self, claims: Claims, began: float) -> None:
        """``claims`` are stored, by a write that was sent after ``began``."""
        self._stored = claims.view
        self.valid_until = began + self._duration_s

    def settled(self) -> bool:
        """Whether the grant is of what is stored."""
        return self.grant is not None and self._told == [self.grant.view] and self._stored is not None


def _differs(other: Member, view: View) -> bool:
    return bool(other.claims.still) or other.claims.view != view
