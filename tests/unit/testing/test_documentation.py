"""What the page about testing shows is what comes out; ``pytest --rewrite`` writes it."""

from __future__ import annotations

from pathlib import Path

from tests.sweep.bucket import BUCKET, ForgetsTheFinalizer

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"


def test_the_page_shows_a_failure_as_it_is_told(rewrite: bool) -> None:
    text = PAGE.read_text()
    before, opened, rest = text.partition("finalizer:\n\n```\n")
    shown, closed, after = rest.partition("\n```\n")
    failed = BUCKET.find(ForgetsTheFinalizer, 100)
    assert failed is not None
    told = f"{type(failed).__module__}.{type(failed).__name__}: {failed}"
    if rewrite:
        PAGE.write_text(f"{before}{opened}{told}{closed}{after}")
    else:
        assert shown == told


def test_the_page_shows_the_store_of_the_sweep() -> None:
    shown = PAGE.read_text().partition("import Outside\n\n\n")[2].partition("```")[0]
    real = (Path(__file__).parents[2] / "sweep" / "bucket.py").read_text()
    for line in filter(None, shown.splitlines()):
        assert line in real, line
