"""Where Pods are put: affinity, tolerations, spreading."""

from __future__ import annotations

from controllerkit.schema import Int32, Int64, map_atomic
from operators.prometheus.api.core.meta import LabelSelector
from operators.prometheus.api.types import AtomicList, Model

__all__ = [
    "Affinity",
    "NodeAffinity",
    "NodeSelector",
    "NodeSelectorRequirement",
    "NodeSelectorTerm",
    "PodAffinity",
    "PodAffinityTerm",
    "PodAntiAffinity",
    "PreferredSchedulingTerm",
    "Toleration",
    "TopologySpreadConstraint",
    "WeightedPodAffinityTerm",
]


class NodeSelectorRequirement(Model):
    """One condition on a node's label or field."""

    key: str
    operator: str
    values: AtomicList[str] | None = None


class NodeSelectorTerm(Model, keywords=[map_atomic()]):
    """Conditions on a node, all of which hold."""

    match_expressions: AtomicList[NodeSelectorRequirement] | None = None
    match_fields: AtomicList[NodeSelectorRequirement] | None = None


class PreferredSchedulingTerm(Model):
    """Nodes that are preferred, and how much."""

    weight: Int32
    preference: NodeSelectorTerm


class NodeSelector(Model, keywords=[map_atomic()]):
    """Terms, one of which holds."""

    node_selector_terms: AtomicList[NodeSelectorTerm]


class NodeAffinity(Model):
    """Which nodes a Pod is put on."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: AtomicList[PreferredSchedulingTerm] | None = None


class PodAffinityTerm(Model):
    """Pods to be near to, or away from, and what near means."""

    label_selector: LabelSelector | None = None
    namespaces: AtomicList[str] | None = None
    topology_key: str
    namespace_selector: LabelSelector | None = None
    match_label_keys: AtomicList[str] | None = None
    mismatch_label_keys: AtomicList[str] | None = None


class WeightedPodAffinityTerm(Model):
    """Pods to be near to, or away from, if possible."""

    weight: Int32
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Model):
    """Which Pods a Pod is put beside."""

    required_during_scheduling_ignored_during_execution: AtomicList[PodAffinityTerm] | None = None
    preferred_during_scheduling_ignored_during_execution: AtomicList[WeightedPodAffinityTerm] | None = None


class PodAntiAffinity(Model):
    """Which Pods a Pod is kept away from."""

    required_during_scheduling_ignored_during_execution: AtomicList[PodAffinityTerm] | None = None
    preferred_during_scheduling_ignored_during_execution: AtomicList[WeightedPodAffinityTerm] | None = None


class Affinity(Model):
    """Where a Pod is put."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None


class Toleration(Model):
    """A taint that a Pod bears."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: Int64 | None = None


class TopologySpreadConstraint(Model):
    """How Pods are spread over zones, nodes and the like."""

    max_skew: Int32
    topology_key: str
    when_unsatisfiable: str
    label_selector: LabelSelector | None = None
    min_domains: Int32 | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    match_label_keys: AtomicList[str] | None = None
