"""How requests travel: the `Transport` seam, its aiohttp implementation, and credentials."""

from controllerkit.wire.credentials import Credentials, load_credentials
from controllerkit.wire.http import HttpTransport
from controllerkit.wire.transport import Transport, WireRequest, WireResponse

__all__ = ["Credentials", "HttpTransport", "Transport", "WireRequest", "WireResponse", "load_credentials"]
