"""Versions of one kind, and the CustomResourceDefinition that serves them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field

from controllerkit.errors import ConfigError
from controllerkit.schema import ApiModel, Column, Resource, Scale, custom_resource_definition


class Spec(ApiModel):
    replicas: int = 1
    color: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    ports: list[int] = Field(default_factory=list)


class Status(ApiModel):
    replicas: int = 0
    selector: str = ""


class Website(
    Resource,
    group="example.dev",
    version="v1",
    storage=True,
    short_names=["ws"],
    categories=["all"],
    singular="site",
    scale=Scale(selector=".status.selector"),
    columns=[Column("Color", ".spec.color", priority=1), Column("Age", ".metadata.creationTimestamp", "date")],
    selectable=[".spec.color", ".spec.replicas"],
):
    """A website."""

    spec: Spec
    status: Status = Field(default_factory=Status)


class WebsiteV1beta1(
    Resource, group="example.dev", version="v1beta1", kind="Website", storage=False, deprecated="use v1"
):
    spec: Spec


class WebsiteV2alpha1(Resource, group="example.dev", version="v2alpha1", kind="Website", served=False):
    spec: Spec


def declared(name: str = "Website", annotations: Any = None, **arguments: Any) -> type[Resource]:
    fields = {"__annotations__": annotations or {"spec": Spec}, "__module__": __name__}
    return type(name, (Resource,), fields, **{"group": "example.dev", "version": "v1", **arguments})


@pytest.mark.parity("1f/crd-generation")
def test_a_definition_holds_names_versions_and_how_they_are_served() -> None:
    made = custom_resource_definition(WebsiteV1beta1, WebsiteV2alpha1, Website)
    assert made["metadata"] == {"name": "websites.example.dev"}
    spec = made["spec"]
    assert {name: value for name, value in spec.items() if name != "versions"} == {
        "group": "example.dev",
        "scope": "Namespaced",
        "names": {
            "kind": "Website",
            "listKind": "WebsiteList",
            "plural": "websites",
            "singular": "site",
            "shortNames": ["ws"],
            "categories": ["all"],
        },
    }
    first, second, third = (
        {name: value for name, value in each.items() if name != "schema"} for each in spec["versions"]
    )
    assert first == {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "selectableFields": [{"jsonPath": ".spec.color"}, {"jsonPath": ".spec.replicas"}],
    }
    assert second == {
        "name": "v1beta1",
        "served": True,
        "storage": False,
        "deprecated": True,
        "deprecationWarning": "use v1",
    }
    assert third == {"name": "v2alpha1", "served": False, "storage": False}


def test_the_order_of_the_models_is_no_matter() -> None:
    forth = custom_resource_definition(Website, WebsiteV1beta1, WebsiteV2alpha1)
    assert forth == custom_resource_definition(WebsiteV2alpha1, WebsiteV1beta1, Website)


def test_one_version_is_the_stored_one_and_a_kind_may_be_of_the_whole_cluster() -> None:
    made = custom_resource_definition(declared(namespaced=False))
    assert made["spec"]["scope"] == "Cluster"
    assert made["spec"]["versions"][0]["storage"] is True


def test_how_versions_are_converted_is_passed_on() -> None:
    conversion = {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}}
    assert custom_resource_definition(Website, conversion=conversion)["spec"]["conversion"] == conversion


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "needs a model"),
        ([Resource], "Resource has no group and version"),
        ([declared(group="apps")], "the group of a custom resource has a dot, got 'apps'"),
        ([Website, declared("Other", version="v2")], "no versions of one kind: kind is 'Other' and 'Website'|kind is"),
        ([Website, declared(version="v2", namespaced=False)], "no versions of one kind: namespaced is"),
        ([Website, declared()], "Website and Website are both v1; leave one out"),
        ([declared(), declared(version="v2")], r"none of these is: Website \(v2\), Website \(v1\); give one of them"),
        ([Website, declared(version="v2", storage=True)], "all of these are: "),
        ([declared(storage=False)], "one version is stored, and none of these is"),
        ([declared(columns=[Column("A", ".spec.colour")])], "the column 'A' shows '.spec.colour', which the schema"),
        ([declared(columns=[Column("A", "spec.color")])], "paths begin with a dot"),
        ([declared(scale=Scale())], "the scale's statusReplicasPath '.status.replicas' is no integer field under"),
        ([declared(scale=Scale(spec=".spec.color"))], "the scale's specReplicasPath '.spec.color' is no integer"),
        ([declared(selectable=[".spec.ports"])], "'.spec.ports' cannot be selected by; name a string"),
        ([declared(selectable=[".spec.nothing"])], "'.spec.nothing' cannot be selected by"),
        ([declared(selectable=[".metadata.name"])], "'.metadata.name' cannot be selected by"),
        ([declared(selectable=[".spec.color"] * 9)], "9 selectable fields, the API takes 8"),
    ],
)
def test_what_the_server_would_refuse_is_refused_here(models: list[type[Resource]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        custom_resource_definition(*models)


@pytest.mark.parametrize("path", [".spec.labels.app", ".spec.ports[0]", ".metadata.labels"])
def test_a_column_may_look_into_maps_lists_and_metadata(path: str) -> None:
    made = custom_resource_definition(declared(columns=[Column("A", path)]))
    assert made["spec"]["versions"][0]["additionalPrinterColumns"][0]["jsonPath"] == path
