"""What would be refused is not sent, where that is asked for."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from controllerkit import Client, Key, Metadata, Reconciler, Request
from controllerkit.errors import Invalid, NotFound
from controllerkit.schema import ApiModel, Resource, cel, custom_resource_definition
from controllerkit.schema.judging import judge_resource, judge_write
from controllerkit.testing import FaultyTransport, served
from tests.unit.controller.running import running


class ShopSpec(ApiModel, rules=[cel("self.low <= self.high", "low is above high")]):
    size: int = Field(default=3, ge=1, le=9)
    low: int = 1
    high: int = 2
    name: Annotated[str | None, cel("self == oldSelf", "the name stays")] = None
    color: str


class ShopStatus(ApiModel):
    phase: str = Field(default="", max_length=5)


class Shop(Resource, group="before.example.dev", version="v1"):
    spec: ShopSpec
    status: ShopStatus = Field(default_factory=ShopStatus)


@pytest.fixture
async def shops(client: Client) -> Client:
    await client.create(custom_resource_definition(Shop))
    await served(client, Shop, timeout_s=15.0)
    return client


def shop(**spec: Any) -> Shop:
    """Whatever its fields: what a program computes is not checked by pydantic either."""
    made = ShopSpec.model_construct(_fields_set=None, **{"color": "red", **spec})
    return Shop(metadata=Metadata(name="a", namespace="default"), spec=ShopSpec(color="red")).model_copy(
        update={"spec": made}
    )


class Sent:
    """How many writes have left."""

    def __init__(self, client: Client) -> None:
        self.transport: FaultyTransport | None = None

        def wrap(inner: Any) -> FaultyTransport:
            self.transport = FaultyTransport(inner)
            return self.transport

        client.reroute(wrap)

    @property
    def writes(self) -> int:
        assert self.transport is not None
        return sum(verb not in ("get", "watch") for verb, _ in self.transport.requests)


async def test_by_default_the_server_is_who_refuses(shops: Client) -> None:
    sent = Sent(shops)
    with pytest.raises(Invalid, match=r"should be less than or equal to 9"):
        await shops.create(shop(size=12))
    assert sent.writes == 1


async def test_what_would_be_refused_names_its_field_and_rule_and_is_not_sent(shops: Client) -> None:
    shops.check_writes = {}
    sent = Sent(shops)
    with pytest.raises(Invalid) as refusal:
        await shops.create(shop(size=12, low=5))
    assert str(refusal.value) == (
        "Shop default/a is invalid, and was not sent: spec.size: is to be at most 9, got 12 (maximum), "
        "spec: low is above high (self.low <= self.high)"
    )
    assert [each["field"] for each in refusal.value.causes] == ["spec.size", "spec"]
    with pytest.raises(Invalid, match=r"spec\.color: is required"):
        await shops.create(shop().model_copy(update={"spec": ShopSpec.model_construct(size=1)}))
    with pytest.raises(Invalid, match=r"spec\.size: is to be at most 9"):
        await shops.apply(shop(size=12))
    assert sent.writes == 0
    await shops.create(shop())
    assert sent.writes == 1


async def test_an_update_is_judged_against_what_was_read(shops: Client) -> None:
    shops.check_writes = {}
    await shops.create(shop(name="a"))
    read = Shop.from_object(await shops.get(Shop, "a", "default"))
    renamed = read.model_copy(update={"spec": read.spec.model_copy(update={"name": "b"})})
    with pytest.raises(Invalid, match=r"spec\.name: the name stays \(self == oldSelf\)"):
        await shops.update(renamed)
    await shops.update(read.model_copy(update={"spec": read.spec.model_copy(update={"size": 4})}))


def test_an_update_is_not_refused_for_what_was_wrong_before() -> None:
    before = {"metadata": {"name": "a"}, "spec": {"color": "red", "size": 12}}
    assert judge_resource(Shop, {**before, "spec": {"color": "blue", "size": 12}}, before).violations == ()
    assert [one.path for one in judge_resource(Shop, before).violations] == ["spec.size"]


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"size": 4}, []),
        ({"low": 5}, []),
        ({"size": 10, "low": 5}, ["spec.size"]),
        ({"size": "x"}, ["spec.size"]),
    ],
)
def test_of_what_is_applied_the_values_are_judged_for_others_complete_it(spec: Any, found: list[str]) -> None:
    judged = judge_write(Shop, "apply", {"metadata": {"name": "a"}, "spec": spec})
    assert [one.path for one in judged.violations] == found


async def test_a_manager_asks_it_of_its_primaries_and_of_their_status_in_whatever_form(shops: Client) -> None:
    told: list[Invalid] = []

    class Shops(Reconciler[Shop]):
        async def reconcile(self, request: Request) -> None:
            found = await self.get(request.key)
            assert found is not None
            try:
                await self.write_status(found, {"phase": "much too long"})
            except Invalid as error:
                told.append(error)
            await self.write_status(found, {"phase": "Done"})

    await shops.create(shop())
    async with running(shops, Shops(), check_writes=True):
        from controllerkit.runtime import wait_until

        async def done() -> bool:
            return bool((await shops.get(Shop, Key("default", "a"))).status.get("phase") == "Done")

        await wait_until(done, what="the status", timeout_s=15.0)
        with pytest.raises(Invalid, match=r"spec\.size"):
            await shops.create({**shop().to_dict(), "metadata": {"name": "b"}, "spec": {"color": "red", "size": 0}})
    assert "status.phase: may be 5 characters long, got 13 (maxLength)" in str(told[0])
    with pytest.raises(NotFound):
        await shops.get(Shop, "b", "default")
