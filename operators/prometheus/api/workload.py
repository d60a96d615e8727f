"""What the Pods of Prometheus, Alertmanager and ThanosRuler have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from controllerkit.schema import cel
from operators.prometheus.api.core.claims import PersistentVolumeClaimSpec, PersistentVolumeClaimStatus
from operators.prometheus.api.core.volumes import EmptyDirVolumeSource, EphemeralVolumeSource
from operators.prometheus.api.types import IntOrString, ListByName, Model, NonEmptyString, SetList

__all__ = [
    "Argument",
    "DNSPolicy",
    "EmbeddedObjectMetadata",
    "EmbeddedPersistentVolumeClaim",
    "EnableFeature",
    "HostAlias",
    "ObjectReference",
    "PodDNSConfig",
    "PodDNSConfigOption",
    "PodManagementPolicyType",
    "PrometheusRuleExcludeConfig",
    "RollingUpdateStatefulSetStrategy",
    "StatefulSetPersistentVolumeClaimRetentionPolicy",
    "StatefulSetUpdateStrategy",
    "StatefulSetUpdateStrategyType",
    "StorageSpec",
]


DNSPolicy = Literal["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]
EnableFeature = Annotated[str, Field(min_length=1)]
PodManagementPolicyType = Literal["OrderedReady", "Parallel"]
StatefulSetUpdateStrategyType = Literal["OnDelete", "RollingUpdate"]


class Argument(Model):
    """A command line argument, added or put in place of the operator's own."""

    name: NonEmptyString
    value: str | None = None


class PodDNSConfigOption(Model):
    """An option of the resolver."""

    name: NonEmptyString
    value: str | None = None


class PodDNSConfig(Model):
    """The resolver of the Pods."""

    nameservers: SetList[NonEmptyString] | None = None
    searches: SetList[NonEmptyString] | None = None
    options: ListByName[PodDNSConfigOption] | None = None


class HostAlias(Model):
    """Lines of the Pods' /etc/hosts."""

    ip: str
    hostnames: list[str]


class StatefulSetPersistentVolumeClaimRetentionPolicy(Model):
    """What becomes of the claims when a StatefulSet is deleted or shrinks."""

    when_deleted: str | None = None
    when_scaled: str | None = None


class EmbeddedObjectMetadata(Model):
    """The metadata that one may give to an object the operator makes."""

    name: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class EmbeddedPersistentVolumeClaim(Model):
    """The claim that the operator makes for each Pod."""

    kind: str | None = None
    api_version: str | None = None
    metadata: EmbeddedObjectMetadata | None = None
    spec: PersistentVolumeClaimSpec | None = None
    status: PersistentVolumeClaimStatus | None = None


class StorageSpec(Model):
    """Where data is kept: a claim, or a volume that ends with the Pod."""

    disable_mount_sub_path: bool | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    volume_claim_template: EmbeddedPersistentVolumeClaim | None = None


class RollingUpdateStatefulSetStrategy(Model):
    """How many Pods an update may take down at once."""

    max_unavailable: IntOrString | None = None


class StatefulSetUpdateStrategy(
    Model,
    rules=[
        cel("!(self.type != 'RollingUpdate' && has(self.rollingUpdate))", "rollingUpdate is for type RollingUpdate")
    ],
):
    """How an update replaces the Pods."""

    type: StatefulSetUpdateStrategyType
    rolling_update: RollingUpdateStatefulSetStrategy | None = None


class ObjectReference(Model):
    """Objects of the operator's kinds: one by name, or all of a kind in a namespace."""

    group: Literal["monitoring.coreos.com"] = "monitoring.coreos.com"
    resource: Literal["prometheusrules", "servicemonitors", "podmonitors", "probes", "scrapeconfigs"]
    namespace: NonEmptyString
    name: str | None = None


class PrometheusRuleExcludeConfig(Model):
    """A PrometheusRule that no namespace label is enforced on."""

    rule_namespace: str
    rule_name: str
