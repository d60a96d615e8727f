"""What every kind that is scraped says: relabeling, protocols, native histograms."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from controllerkit.schema import Int64
from operators.prometheus.api.types import Model, Quantity

__all__ = [
    "AttachMetadata",
    "NameEscapingSchemeOptions",
    "NameValidationSchemeOptions",
    "NamespaceSelector",
    "NativeHistogramConfig",
    "RelabelConfig",
    "ScrapeProtocol",
    "SelectorMechanism",
    "ServiceDiscoveryRole",
]


NameEscapingSchemeOptions = Literal["AllowUTF8", "Underscores", "Dots", "Values"]
NameValidationSchemeOptions = Literal["UTF8", "Legacy"]
ScrapeProtocol = Literal[
    "PrometheusProto", "OpenMetricsText0.0.1", "OpenMetricsText1.0.0", "PrometheusText0.0.4", "PrometheusText1.0.0"
]
SelectorMechanism = Literal["RelabelConfig", "RoleSelector"]
ServiceDiscoveryRole = Literal["Endpoints", "EndpointSlice"]


class AttachMetadata(Model):
    """Which metadata discovery attaches to targets."""

    node: bool | None = None


class NamespaceSelector(Model):
    """The namespaces objects are looked for in: its own, those named, or any."""

    any: bool | None = None
    match_names: list[str] | None = None


class RelabelConfig(Model):
    """One step of relabeling."""

    source_labels: list[str] | None = None
    separator: str | None = None
    target_label: str | None = None
    regex: str | None = None
    modulus: Int64 | None = Field(default=None, ge=0)
    replacement: str | None = None
    action: Literal[
        "replace",
        "Replace",
        "keep",
        "Keep",
        "drop",
        "Drop",
        "hashmod",
        "HashMod",
        "labelmap",
        "LabelMap",
        "labeldrop",
        "LabelDrop",
        "labelkeep",
        "LabelKeep",
        "lowercase",
        "Lowercase",
        "uppercase",
        "Uppercase",
        "keepequal",
        "KeepEqual",
        "dropequal",
        "DropEqual",
    ] = "replace"


class NativeHistogramConfig(Model):
    """How native histograms are scraped."""

    scrape_native_histograms: bool | None = None
    scrape_classic_histograms: bool | None = None
    native_histogram_bucket_limit: Int64 | None = Field(default=None, ge=0)
    native_histogram_min_bucket_factor: Quantity | None = None
    convert_classic_histograms_to_nhcb: bool | None = Field(default=None, alias="convertClassicHistogramsToNHCB")
