"""Programs that tests drive as a person would."""

from __future__ import annotations

import shutil
from typing import Final

import pytest

from controllerkit.devcluster import BinaryCache


def _find_kubectl() -> str:
    cached = BinaryCache().cached("kubectl", "kubectl")
    return shutil.which("kubectl") or (str(cached) if cached else "")


KUBECTL: Final = _find_kubectl()
"""From PATH, else the one that ``make binaries`` builds, else ""."""

needs_kubectl = pytest.mark.skipif(not KUBECTL, reason="no kubectl on PATH and none built; make binaries builds one")
