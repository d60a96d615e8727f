"""A serving certificate that is read again when its files change (controller-runtime ``certwatcher``)."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter

from controllerkit.errors import ConfigError
from controllerkit.runtime import Clock

__all__ = ["CertWatcher"]

POLL_S: Final = 10.0


_of_registries: WeakKeyDictionary[CollectorRegistry, tuple[Counter, Counter]] = WeakKeyDictionary()


def _counters(registry: CollectorRegistry) -> tuple[Counter, Counter]:
    """Reads and failures, which all watchers of a registry count together, as controller-runtime does."""
    if registry not in _of_registries:
        _of_registries[registry] = (
            Counter("certwatcher_read_certificate", "Certificates read", registry=registry),
            Counter("certwatcher_read_certificate_errors", "Certificates not read", registry=registry),
        )
    return _of_registries[registry]


class CertWatcher:
    """An ``ssl.SSLContext`` for servers, kept current.

    Guarantees:
        New connections get the certificate that lies there now, at most ``POLL_S`` later, however it came there:
        written over, renamed, or through the symlinks by which Secrets are mounted. Files that do not fit together
        or are gone leave the old certificate in use, and are counted.

    Raises:
        ConfigError: at the start, where the files cannot be used; it names them.
    """

    def __init__(self, certificate: Path, key: Path, *, clock: Clock, registry: CollectorRegistry, log: Any) -> None:
        self._certificate, self._key = certificate, key
        self._clock = clock
        self._log = log
        self._reads, self._errors = _counters(registry)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            self._seen = self._look()
            self._load()
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cannot serve TLS with {certificate} and {key}: {error}") from error

    def _look(self) -> tuple[bytes, bytes]:
        return self._certificate.read_bytes(), self._key.read_bytes()

    def _load(self) -> None:
        self._reads.inc()
        try:
            # files that do not fit together would spoil the context that is in use, so they are tried on another
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self._certificate, self._key)
            self.context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError):
            self._errors.inc()
            raise

    def refresh(self) -> bool:
        """Reads the files if they have changed; whether there is a new certificate."""
        try:
            found = self._look()
        except OSError as error:
            self._errors.inc()
            self._log.warning("certificate_not_read", file=str(self._certificate), error=str(error))
            return False
        if found == self._seen:
            return False
        try:
            self._load()
        except (OSError, ssl.SSLError) as error:
            self._log.warning("certificate_not_read", file=str(self._certificate), error=str(error))
            return False
        self._seen = found
        self._log.info("certificate_renewed", file=str(self._certificate))
        return True

    async def run(self) -> None:
        """Refreshes until cancelled."""
        while True:
            await self._clock.sleep(POLL_S)
            self.refresh()
