"""``docs/resources.md`` says what models become."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from controllerkit import schema
from controllerkit.errors import Invalid
from controllerkit.schema import ApiModel, Metadata, custom_resource_definition, structural_schema

PAGE = (Path(__file__).parents[3] / "docs" / "resources.md").read_text()
NAMES: dict[str, Any] = {
    **{name: getattr(schema, name) for name in schema.__all__},
    "Annotated": Annotated,
    "Any": Any,
    "Decimal": Decimal,
    "Field": Field,
    "Literal": Literal,
    "datetime": datetime,
    "timedelta": timedelta,
}


def rows() -> list[tuple[str, str]]:
    table = PAGE.partition("| annotation | schema |")[2].partition("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return [(annotation.strip("` "), shown.strip("` ")) for annotation, shown in cells]


@pytest.mark.parametrize(("annotation", "shown"), rows())
def test_an_annotation_has_the_schema_that_the_page_shows(annotation: str, shown: str) -> None:
    kind = eval(annotation, dict(NAMES))
    model = type("Made", (ApiModel,), {"__annotations__": {"value": kind}, "__module__": __name__})
    assert structural_schema(model)["properties"]["value"] == json.loads(shown)


def test_the_pages_model_can_be_defined_made_and_checked() -> None:
    module = ModuleType("shop")
    module.__dict__.update(NAMES)
    code = PAGE.partition("```python\n")[2].partition("```")[0]
    exec(compile(code, "docs/resources.md", "exec", dont_inherit=True), module.__dict__)
    made = custom_resource_definition(module.Shop)
    assert made["metadata"]["name"] == "shops.example.dev"
    shop = module.Shop(metadata=Metadata(name="a"), spec=module.ShopSpec())
    assert shop.checked().judge().left_to_server == ()
    with pytest.raises(Invalid, match="spec: low is above high"):
        module.Shop(metadata=Metadata(name="a"), spec=module.ShopSpec(low=11)).checked()
