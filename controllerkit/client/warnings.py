"""What a server says beside its answers: deprecated versions, unknown fields, admission that lets pass and warns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from controllerkit.runtime import get_logger

__all__ = ["WarningSurfacer", "warnings_in"]

_WARNING: Final = re.compile(r'(\d{3}) +\S+ +"((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_CODE: Final = "299"
"""client-go ``rest/warnings.go``: others are not of Kubernetes."""

_REMEMBERED_MAX: Final = 1024


def warnings_in(headers: Mapping[str, str]) -> list[str]:
    r"""The texts of all ``Warning`` headers (RFC 7234 5.5) that Kubernetes sends.

    >>> warnings_in({"Warning": '299 - "v1beta1 is deprecated", 299 - "unknown field \\"x\\"", 110 - "stale"'})
    ['v1beta1 is deprecated', 'unknown field "x"']
    """
    getall: Any = getattr(headers, "getall", None)
    lines = getall("Warning", []) if getall is not None else [headers.get("Warning", "")]
    found = [match for line in lines for match in _WARNING.findall(line)]
    return [_ESCAPED.sub(r"\1", text) for code, text in found if code == _CODE and text]


class WarningSurfacer:
    """Gives each distinct warning to ``tell`` once; without it, to the log."""

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self._tell = tell or (lambda text: get_logger().warning("server_warning", text=text))
        self._told: set[str] = set()

    def look(self, headers: Mapping[str, str]) -> None:
        """Tells what is new in the headers of an answer."""
        if "Warning" not in headers:
            return
        for text in warnings_in(headers):
            if text not in self._told:
                if len(self._told) >= _REMEMBERED_MAX:
                    self._told.clear()
                self._told.add(text)
                self._tell(text)
