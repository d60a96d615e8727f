"""The certificates that webhooks serve with: made and renewed by themselves, or read from files.

Of those made here, the authorities and the serving certificate lie in a Secret, so that all replicas serve the same.
What to renew is decided by `renewal`, a pure function. A new authority is told to the API server a while before the
first certificate that it signs is served, and an old one is told until it ends: so that every connection in between
is one that the API server trusts.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry

from controllerkit.client import Client
from controllerkit.errors import AlreadyExists, ApiError, ConfigError, Conflict, NotFound, TransportError
from controllerkit.objects import Key, Kind, Object, kinds
from controllerkit.runtime import Clock
from controllerkit.webhook.injection import MUTATING, VALIDATING, injected
from controllerkit.webhook.signing import Pair, issue_authority, issue_serving
from controllerkit.wire import CertWatcher

__all__ = ["FileCertificates", "MadeCertificates", "Renewal", "ServingCertificates", "Stored", "renewal"]

AUTHORITY_LIFE: Final = timedelta(days=365)
SERVING_LIFE: Final = timedelta(days=90)
RENEW_AT: Final = 2 / 3
"""The part of its life after which a certificate is followed by a new one, as cert-manager does."""

OVERLAP: Final = timedelta(hours=1)
"""How long a new authority is told before it signs: by then every replica and API server has heard of it."""

CHECK_S: Final = 60.0
"""How often Secret and configurations are looked at: how long one that was applied anew goes without ``caBundle``."""

ATTEMPTS_MAX: Final = 5


Need = tuple[Kind, str, Key]
"""A verb on a kind; a key without a name is for all names, one without a namespace for all of these."""


class ServingCertificates(Protocol):
    """Where a webhook server gets its certificate. What has ``needs`` is asked for permissions that it needs."""

    context: ssl.SSLContext

    async def start(self, client: Client, clock: Clock, log: Any) -> None:
        """Returns when ``context`` has a certificate."""

    async def run(self) -> None:
        """Keeps it current, until cancelled."""


def _server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class FileCertificates:
    """From PEM files, which are read again when they change: as cert-manager or the cluster's own signer writes them.

    The ``caBundle`` is then the business of who writes the files (cert-manager's cainjector).

    Attributes:
        registry: where ``certwatcher_*`` counts what was read; the webhook server gives its own before the start.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self.context = _server_context()
        self.registry = CollectorRegistry()

    async def start(self, client: Client, clock: Clock, log: Any) -> None:
        """Raises ConfigError: the files cannot be used."""
        self._watcher = CertWatcher(*self._files, clock=clock, registry=self.registry, log=log)
        self.context = self._watcher.context

    async def run(self) -> None:
        """Looks at the files every ten seconds."""
        await self._watcher.run()


# -- what to renew -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored:
    """What the Secret holds. ``authorities``: the newest first."""

    authorities: tuple[Pair, ...] = ()
    serving: Pair | None = None

    @property
    def bundle(self) -> bytes:
        """What the API server is told to trust."""
        return b"".join(each.certificate for each in self.authorities)

    def to_data(self) -> Mapping[str, str]:
        """As the ``data`` of a Secret; ``tls.crt`` and ``tls.key`` as the field names them."""
        data = {"ca.crt": self.bundle, "ca.key": b"".join(each.key for each in self.authorities)}
        if self.serving is not None:
            data |= {"tls.crt": self.serving.certificate, "tls.key": self.serving.key}
        return {name: base64.b64encode(value).decode() for name, value in data.items()}

    @classmethod
    def from_data(cls, data: Mapping[str, str]) -> Stored:
        """The inverse; what cannot be read is as if it were not there, and so is made anew."""
        try:
            found = {name: base64.b64decode(value) for name, value in data.items()}
            authorities = Pair.several(found.get("ca.crt", b""), found.get("ca.key", b""))
            serving = Pair.several(found.get("tls.crt", b""), found.get("tls.key", b""))
        except ValueError:
            return cls()
        return cls(tuple(authorities), serving[0] if serving else None)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What is to be done, in this order.

    Attributes:
        authority: make a new authority.
        keep: the authorities that are still told.
        serving: make a serving certificate, signed by ``signer`` (None: by the new authority).
    """

    authority: bool
    keep: tuple[Pair, ...]
    serving: bool
    signer: Pair | None

    @property
    def needed(self) -> bool:
        """Whether there is anything to write."""
        return self.authority or self.serving


def renewal(stored: Stored, names: Sequence[str], now: datetime) -> Renewal:
    """What to renew.

    An authority that is past two thirds of its life is followed by another one, which signs once it was told for
    OVERLAP, or at once where there is no other. A serving certificate is followed by another where it is past two
    thirds of its life, lacks one of ``names``, or is not by the authority that signs now.
    """
    keep = tuple(each for each in stored.authorities if each.is_valid(now))
    authority = not keep or _is_old(keep[0], now)
    told = [each for each in keep if now - each.begins >= OVERLAP]
    signer = told[0] if told else keep[-1] if keep else None
    serving = stored.serving
    renew = (
        serving is None
        or signer is None
        or _is_old(serving, now)
        or not serving.is_valid(now)
        or not serving.is_for(names)
        or not serving.is_by(signer)
    )
    return Renewal(authority, keep, renew, signer)


def _is_old(pair: Pair, now: datetime) -> bool:
    return now >= pair.begins + (pair.ends - pair.begins) * RENEW_AT


def renewed(stored: Stored, names: Sequence[str], now: datetime) -> Stored:
    """``stored`` after what `renewal` says; itself where that is nothing.

    A certificate that is not old is followed by one for its names too: replicas with other names, as there are while
    a new version is rolled out, would take turns for ever otherwise.
    """
    todo = renewal(stored, names, now)
    if not todo.needed:
        return stored
    authorities = todo.keep
    if todo.authority:
        authorities = (issue_authority(now, AUTHORITY_LIFE), *authorities)
    serving = stored.serving
    if todo.serving:
        signer = todo.signer or authorities[0]
        others = () if serving is None or _is_old(serving, now) else serving.names
        wanted = tuple(dict.fromkeys((*names, *others)))
        serving = issue_serving(signer, wanted, now, min(SERVING_LIFE, signer.ends - now))
    return replace(stored, authorities=authorities, serving=serving)


# -- doing it ----------------------------------------------------------------------------------------------------------


class MadeCertificates:
    """Makes an authority and a serving certificate, renews both, and tells the API server whom to trust.

    Guarantees:
        All replicas that name the same Secret serve the same certificate. ``caBundle`` of the named configurations
        and definitions is set at the start and looked after from then on; one that is not there yet is told once it
        is. A failure after the start is logged and tried again; what is served stays.

    Args:
        secret: where they lie; written by every replica, leader or not.
        names: DNS names and IP addresses by which the API server calls: of a Service ``name.namespace.svc``.
        mutating, validating: names of webhook configurations. definitions: of CustomResourceDefinitions.
    Raises:
        ConfigError: no names; the extra ``webhook`` is not installed.
    """

    def __init__(
        self,
        *,
        secret: Key,
        names: Sequence[str],
        mutating: Sequence[str] = (),
        validating: Sequence[str] = (),
        definitions: Sequence[str] = (),
    ) -> None:
        if not names:
            raise ConfigError("a serving certificate needs the names by which it is called, as hooks.shop.svc")
        self._secret = secret
        self._names = tuple(names)
        self._targets: list[tuple[Kind, str]] = [
            *((MUTATING, name) for name in mutating),
            *((VALIDATING, name) for name in validating),
            *((kinds.CUSTOM_RESOURCE_DEFINITION, name) for name in definitions),
        ]
        self.context = _server_context()
        self.served: Pair | None = None
        self._absent: set[str] = set()

    @property
    def needs(self) -> Sequence[Need]:
        """What the operator has to be allowed to do for it; where no name is given, with any."""
        secret = [(kinds.SECRET, "create", Key(self._secret.namespace, ""))]
        secret += [(kinds.SECRET, verb, self._secret) for verb in ("get", "update")]
        told = [(kind, verb, Key("", name)) for kind, name in self._targets for verb in ("get", "update")]
        return [*secret, *told]

    async def start(self, client: Client, clock: Clock, log: Any) -> None:
        """Returns when there is a certificate.

        Raises:
            ApiError, TransportError: the Secret can be neither read nor written.
        """
        self._client, self._clock, self._log = client, clock, log
        await self.refresh()

    async def run(self) -> None:
        """Refreshes until cancelled."""
        while True:
            await self._clock.sleep(CHECK_S)
            try:
                await self.refresh()
            except (ApiError, TransportError) as error:
                self._log.warning("webhook_certificates_not_refreshed", secret=str(self._secret), error=str(error))

    async def refresh(self) -> None:
        """One pass: reads, renews, tells, serves. Raises as `start`."""
        stored = await self._stored()
        for kind, name in self._targets:
            await self._tell(kind, name, stored.bundle)
        if stored.serving is not None and stored.serving != self.served:
            self._load(stored.serving)
            self._log.info("webhook_certificate_loaded", ends=stored.serving.ends.isoformat())

    async def _stored(self) -> Stored:
        """What the Secret holds after what is to be renewed; another replica that was faster is taken at its word."""
        for _ in range(ATTEMPTS_MAX):
            found = await self._read()
            stored = Stored.from_data(found.body.get("data") or {}) if found is not None else Stored()
            wanted = renewed(stored, self._names, self._clock.utcnow())
            if wanted is stored:
                return stored
            try:
                await self._write(found, wanted)
            except (AlreadyExists, Conflict):
                continue
            return wanted
        raise Conflict(f"the Secret {self._secret} was written by others {ATTEMPTS_MAX} times in a row")

    async def _read(self) -> Object | None:
        try:
            return await self._client.get(kinds.SECRET, self._secret)
        except NotFound:
            return None

    async def _write(self, found: Object | None, wanted: Stored) -> None:
        if found is not None:
            await self._client.update({**found.to_dict(), "data": wanted.to_data()})
            return
        metadata = {"name": self._secret.name, "namespace": self._secret.namespace}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls"}
        await self._client.create({**secret, "data": wanted.to_data()})

    async def _tell(self, kind: Kind, name: str, bundle: bytes) -> None:
        try:
            await self._inject(kind, name, bundle)
        except (NotFound, Conflict) as error:  # the next pass finds it, or what others made of it by then
            if name not in self._absent:
                self._log.warning("webhook_ca_not_injected", kind=kind.kind, name=name, error=error.message)
            self._absent.add(name)
        else:
            self._absent.discard(name)

    async def _inject(self, kind: Kind, name: str, bundle: bytes) -> None:
        """A server writes the status of a new definition several times in a row, so one conflict means nothing."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            wanted = injected((await self._client.get(kind, name)).to_dict(), bundle)
            if wanted is None:
                return
            try:
                await self._client.update(wanted)
            except Conflict:
                if attempt == ATTEMPTS_MAX:
                    raise
                continue
            self._log.info("webhook_ca_injected", kind=kind.kind, name=name)
            return

    def _load(self, pair: Pair) -> None:
        with tempfile.TemporaryDirectory(prefix="webhook-") as folder:  # mode 0700; ssl takes files only
            certificate, key = Path(folder) / "tls.crt", Path(folder) / "tls.key"
            certificate.write_bytes(pair.certificate)
            key.write_bytes(pair.key)
            self.context.load_cert_chain(certificate, key)
        self.served = pair
