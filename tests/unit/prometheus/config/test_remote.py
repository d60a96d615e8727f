"""Remote write and read."""

from __future__ import annotations

import pytest

from tests.unit.prometheus.goldens import agrees, names


@pytest.mark.parametrize("name", names("thanosruler", "createOrUpdateRulerConfigSecret"))
def test_the_file_of_a_thanos_ruler_is_written_byte_for_byte(name: str) -> None:
    agrees(name)
