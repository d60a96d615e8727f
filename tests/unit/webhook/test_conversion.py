"""Conversion reviews: bytes in, bytes out."""

from __future__ import annotations

import json
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllerkit.errors import BadRequest, ConfigError, RequestEntityTooLarge
from controllerkit.objects import Object
from controllerkit.schema import ApiModel, Metadata, Resource
from controllerkit.webhook import Conversions, Spoke, convert_review


class HubSpec(ApiModel):
    minutes: int
    color: str | None = None


class Hub(Resource, group="example.dev", version="v2", kind="Timer", storage=True):
    spec: HubSpec


class OneSpec(ApiModel):
    text: str


class One(Resource, group="example.dev", version="v1", kind="Timer"):
    """Has minutes as a text; the color goes to an annotation, so that nothing is lost."""

    spec: OneSpec

    def to_hub(self) -> Hub:
        if self.spec.text == "explode":
            raise RuntimeError("boom")
        notes = dict(self.metadata.annotations)
        spec = HubSpec(minutes=int(self.spec.text), color=notes.pop("color", None))
        return Hub(metadata=self.metadata.model_copy(update={"annotations": notes}), spec=spec)

    @classmethod
    def from_hub(cls, hub: Hub) -> Self:
        notes = dict(hub.metadata.annotations)
        if hub.spec.color is not None:
            notes["color"] = hub.spec.color
        metadata = hub.metadata.model_copy(update={"annotations": notes})
        return cls(metadata=metadata, spec=OneSpec(text=str(hub.spec.minutes)))


class Old(Resource, group="example.dev", version="v1alpha1", kind="Timer"):
    spec: dict[str, int]


OLD = Spoke(
    Old,
    lambda old: Hub(spec=HubSpec(minutes=old.spec["hours"] * 60)),
    lambda hub: Old(spec={"hours": hub.spec.minutes // 60}),
)


class Elsewhere(Resource, group="other.dev", version="v1", kind="Timer"):
    spec: dict[str, int] = {}  # noqa: RUF012 - pydantic copies defaults


@pytest.fixture(scope="module")
def conversions() -> Conversions:
    made = Conversions()
    made.add(Hub, One, OLD)
    return made


OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "o"}
METADATA = {"name": "a", "uid": "u", "generateName": "x-", "labels": {"l": "1"}, "ownerReferences": [OWNER]}


def timer(version: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": "Timer", "metadata": {**METADATA, **metadata}, "spec": spec}


def asked(desired: str, *objects: Any) -> bytes:
    request = {"uid": "uid-1", "desiredAPIVersion": desired, "objects": objects}
    review = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request}
    return json.dumps(review).encode()


def answer(conversions: Conversions, body: bytes, **options: Any) -> Any:
    found = json.loads(convert_review(body, "application/json", conversions, **options))
    assert (found["kind"], found["response"]["uid"]) == ("ConversionReview", "uid-1")
    return found["response"]


V1, V2, ALPHA = "example.dev/v1", "example.dev/v2", "example.dev/v1alpha1"


@pytest.mark.parity("2.8/webhook-spoke-to-hub", "2.8/webhook-hub-to-spoke", "2.8/webhook-spoke-to-spoke")
@pytest.mark.parametrize(
    ("source", "desired", "expected"),
    [
        (timer(V1, {"text": "90"}), V2, timer(V2, {"minutes": 90})),
        (timer(V1, {"text": "90"}, annotations={"color": "red"}), V2, timer(V2, {"minutes": 90, "color": "red"})),
        (timer(V2, {"minutes": 90, "color": "red"}), V1, timer(V1, {"text": "90"}, annotations={"color": "red"})),
        (timer(V2, {"minutes": 120}), ALPHA, timer(ALPHA, {"hours": 2})),
        (timer(ALPHA, {"hours": 2}), V2, timer(V2, {"minutes": 120})),
        (timer(ALPHA, {"hours": 2}), V1, timer(V1, {"text": "120"})),
        (timer(V1, {"text": "120"}, annotations={"a": "b"}), ALPHA, timer(ALPHA, {"hours": 2}, annotations={"a": "b"})),
    ],
    ids=["1-hub", "1-hub-annotation", "hub-1", "hub-alpha", "alpha-hub", "alpha-1", "1-alpha"],
)
def test_every_version_becomes_every_other_under_the_same_metadata(
    conversions: Conversions, source: Any, desired: str, expected: Any
) -> None:
    response = answer(conversions, asked(desired, source))
    assert response["result"] == {"status": "Success"}
    assert response["convertedObjects"] == [expected]


@pytest.mark.parity("2.8/webhook-conversion-list")
def test_the_objects_of_a_list_keep_their_order_and_one_that_fails_fails_all(conversions: Conversions) -> None:
    several = [timer(V1, {"text": str(each)}) for each in (1, 2, 3)]
    response = answer(conversions, asked(V2, *several))
    assert [each["spec"]["minutes"] for each in response["convertedObjects"]] == [1, 2, 3]
    failed = answer(conversions, asked(V2, several[0], timer(V1, {"text": 5})))
    assert failed["convertedObjects"] == []
    assert "spec.text" in failed["result"]["message"]


@pytest.mark.parity("2.8/webhook-conversion-group-mismatch", "2.8/webhook-conversion-missing-hub")
@pytest.mark.parametrize(
    ("source", "desired", "why"),
    [
        (timer(V1, {"text": "1"}), "other.dev/v1", "that is another group"),
        (timer("other.dev/v1", {}), "other.dev/v2", "the kind has no hub here"),
        (timer(V1, {"text": "1"}), "example.dev/v9", "example.dev/v9 is neither hub nor spoke"),
        (timer(V1, {"text": "1"}), V1, "is example.dev/v1 already"),
        ({"kind": "Timer"}, V1, "not a Kubernetes object"),
    ],
)
def test_what_is_no_conversion_is_a_failed_review(
    conversions: Conversions, source: Any, desired: str, why: str
) -> None:
    told: list[Exception] = []
    response = answer(conversions, asked(desired, source), on_panic=told.append)
    assert response["result"]["status"] == "Failure"
    assert why in response["result"]["message"]
    assert told == []


@pytest.mark.parity("2.8/webhook-conversion-panic")
def test_a_function_that_raises_is_a_failed_review_and_told(conversions: Conversions) -> None:
    told: list[Exception] = []
    response = answer(conversions, asked(V2, timer(V1, {"text": "explode"})), on_panic=told.append)
    assert response["result"] == {"status": "Failure", "message": "the conversion failed: RuntimeError: boom"}
    assert len(told) == 1


@pytest.mark.parity("2.8/webhook-conversion-duplicate-spoke")
def test_versions_that_do_not_belong_together_are_refused() -> None:
    conversions = Conversions()
    with pytest.raises(ConfigError, match=r"Timer of example.dev/v1 is registered twice"):
        conversions.add(Hub, One, One)
    with pytest.raises(ConfigError, match=r"no version of the hub Timer.v2.example.dev"):
        conversions.add(Hub, Spoke(Elsewhere, OLD.to_hub, OLD.from_hub))
    with pytest.raises(ConfigError, match=r"Old is no spoke"):
        conversions.add(Hub, Old)
    with pytest.raises(ConfigError, match=r"has no spoke"):
        conversions.add(Hub)
    conversions.add(Hub, One)
    with pytest.raises(ConfigError, match=r"has a hub"):
        conversions.add(Hub, OLD)


def test_what_is_no_review_has_no_answer(conversions: Conversions) -> None:
    with pytest.raises(BadRequest, match="the body is empty"):
        convert_review(b"", "application/json", conversions)
    with pytest.raises(BadRequest, match="not a ConversionReview"):
        convert_review(b'{"kind":"Pod"}', "application/json", conversions)
    with pytest.raises(BadRequest, match="no ConversionReview"):
        convert_review(b"[]", "application/json", conversions)
    with pytest.raises(RequestEntityTooLarge):
        convert_review(b" " * (7 * 2**20 + 1), "application/json", conversions)


texts = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)
hubs = st.builds(
    Hub,
    metadata=st.builds(
        Metadata,
        name=st.just("a"),
        labels=texts,
        annotations=texts.map(lambda notes: {name: note for name, note in notes.items() if name != "color"}),
    ),
    spec=st.builds(HubSpec, minutes=st.integers(), color=st.none() | st.text()),
)


@given(hubs)
def test_the_hub_comes_back_from_a_spoke_as_it_went(hub: Hub) -> None:
    conversions = Conversions()
    conversions.add(Hub, One)
    there = conversions.convert(hub.to_object(), V1)
    back = conversions.convert(Object.from_dict(there), V2)
    assert Hub.from_object(Object.from_dict(back)).model_dump() == hub.model_dump()
