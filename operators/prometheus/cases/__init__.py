"""One case of a golden corpus: the inputs of one function, and the text it makes of them.

A case is a mapping ``{"func": …, "cr": …, "objects": […], "secrets": […], "configmaps": […], "extra": {…}}``; ``func``
names what is asked for, by the name of the function of prometheus-operator that the expected text came from.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from operators.prometheus.cases import alertmanager, rules, server, web
from operators.prometheus.tables import Rejected

__all__ = ["render_case"]

FUNCTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    **server.FUNCTIONS,
    **alertmanager.FUNCTIONS,
    **rules.FUNCTIONS,
    **web.FUNCTIONS,
}


def render_case(case: Mapping[str, Any], version: str | None = None) -> str:
    """The text that is made of the case's inputs; "accepted" for a check that is passed.

    Args:
        version: instead of the one in the case, as ``v2.45.0``.
    Raises:
        Rejected: what the case is about is refused; or no function of that name is known.
    """
    function = FUNCTIONS.get(case.get("func") or "")
    if function is None:
        raise Rejected(f"no function {case.get('func')!r}; known are {', '.join(sorted(FUNCTIONS))}", "func")
    return function(_with_version(case, version) if version else case)


def _with_version(case: Mapping[str, Any], version: str) -> dict[str, Any]:
    changed = copy.deepcopy(dict(case))
    changed["extra"] = {**(changed.get("extra") or {}), "version": version.removeprefix("v")}
    if changed.get("cr"):
        changed["cr"].setdefault("spec", {})["version"] = version
    return changed
