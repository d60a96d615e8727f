"""The embedded API server: real clients, no cluster.

Rule of the room: what decides (store, registry, patches, validation, housekeeping) is synchronous and is told the
time; ``http``, ``watching`` and ``server`` hold the awaits. It does not know the client, so that a mistake in one
cannot hide the same mistake in the other.
"""

from controllerkit.apiserver.server import ApiServer, TlsFiles

__all__ = ["ApiServer", "TlsFiles"]
