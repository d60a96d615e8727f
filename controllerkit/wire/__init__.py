"""How requests travel: the `Transport` seam, its aiohttp implementation, credentials, certificates of servers."""

from controllerkit.wire.certs import CertWatcher
from controllerkit.wire.credentials import Credentials, load_credentials
from controllerkit.wire.http import HttpTransport
from controllerkit.wire.transport import Transport, WireRequest, WireResponse

__all__ = [
    "CertWatcher",
    "Credentials",
    "HttpTransport",
    "Transport",
    "WireRequest",
    "WireResponse",
    "load_credentials",
]
