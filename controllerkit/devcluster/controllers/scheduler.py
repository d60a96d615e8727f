"""Pods to nodes: what kube-scheduler does, as far as one machine has a choice.

Looked at: ``nodeSelector``, required node affinity by labels, taints, cordons, readiness, scheduling gates, claims
that are not bound. Not looked at: requests, affinity between Pods, spread constraints, priorities. Of several nodes
that fit, the one with the fewest Pods is taken, then the first by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from controllerkit.controller import Reconciler, Request, Result, Watch
from controllerkit.errors import Conflict, NotFound
from controllerkit.objects import Key, LabelSelector, Object, find_condition, kinds, set_condition

__all__ = ["Scheduler"]

SCHEDULER_NAME: Final = "default-scheduler"
RETRY_S: Final = 30.0
"""Nodes and claims wake the Pods that wait for them; this is for what no event tells of."""


class Scheduler(Reconciler[Object]):
    """Binds Pods that have no node."""

    name = "scheduler"
    kind = kinds.POD
    max_concurrent_reconciles = 4

    def __init__(self) -> None:
        super().__init__()
        # Which Pods wait is in the cache, so the functions need the instance.
        waiting = (Watch(kinds.NODE, self._waiting), Watch(kinds.PERSISTENT_VOLUME_CLAIM, self._waiting_for))
        self.watches = waiting  # type: ignore[misc]

    def _waiting(self, _: Object) -> Iterable[Key]:
        return [pod.key for pod in self.list(kinds.POD) if not pod.spec.get("nodeName")]

    def _waiting_for(self, claim: Object) -> Iterable[Key]:
        return [
            pod.key
            for pod in self.list(kinds.POD, claim.namespace)
            if not pod.spec.get("nodeName") and claim.name in _claims_of(pod)
        ]

    async def reconcile(self, request: Request) -> Result | None:
        """Binds the Pod, or says in its PodScheduled condition why not."""
        pod = await self.get(request.key)
        if pod is None or pod.deleting or pod.spec.get("nodeName"):
            return None
        if (pod.spec.get("schedulerName") or SCHEDULER_NAME) != SCHEDULER_NAME:
            return None
        if gates := pod.spec.get("schedulingGates"):
            names = ", ".join(gate["name"] for gate in gates)
            await self._refuse(
                pod, "SchedulingGated", f"Scheduling is blocked due to non-empty scheduling gates: {names}"
            )
            return None
        problem = self._claims_problem(pod)
        if problem is None:
            on_nodes = Counter(str(p.spec.get("nodeName") or "") for p in self.list(kinds.POD))
            node, problem = choose_node(pod, self.list(kinds.NODE), on_nodes)
            if node:
                await self._bind(pod, node)
                return None
        await self._refuse(pod, "Unschedulable", problem)
        return Result(requeue_after_s=RETRY_S)

    def _claims_problem(self, pod: Object) -> str | None:
        total = len(self.list(kinds.NODE))
        for name in _claims_of(pod):
            claim = self.read(kinds.PERSISTENT_VOLUME_CLAIM, Key(pod.namespace, name))
            if claim is None:
                return f'0/{total} nodes are available: persistentvolumeclaim "{name}" not found.'
            if claim.status.get("phase") != "Bound":
                return f"0/{total} nodes are available: pod has unbound immediate PersistentVolumeClaims."
        return None

    async def _bind(self, pod: Object, node: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        with suppress(NotFound, Conflict):  # it is gone, or bound: both are told by its next event
            await self.client.request_json("POST", kinds.POD.path(pod.namespace, pod.name, "binding"), binding)
            note = f"Successfully assigned {pod.key} to {node}"
            self.recorder.record(pod, "Normal", "Scheduled", note, action="Binding")

    async def _refuse(self, pod: Object, reason: str, message: str) -> None:
        before = find_condition(pod.status.get("conditions"), "PodScheduled")
        if before and (before.get("reason"), before.get("message")) == (reason, message):
            return
        conditions = set_condition(
            pod.status.get("conditions"), "PodScheduled", False, reason, message, now=self.clock.utcnow()
        )
        patch = {"metadata": {"uid": pod.uid}, "status": {"conditions": conditions}}
        with suppress(NotFound, Conflict):
            await self.client.patch(kinds.POD, pod.key, patch, subresource="status")
        self.recorder.record(pod, "Warning", "FailedScheduling", message, action="Scheduling")


def _claims_of(pod: Object) -> list[str]:
    sources = [volume.get("persistentVolumeClaim") for volume in pod.spec.get("volumes") or ()]
    return [source["claimName"] for source in sources if source]


def choose_node(pod: Object, nodes: Iterable[Object], pods_on: Mapping[str, int]) -> tuple[str, str]:
    """A node's name and "", or "" and why there is none, in kube-scheduler's words."""
    nodes = sorted(nodes, key=lambda node: (pods_on.get(node.name, 0), node.name))
    problems: Counter[str] = Counter()
    for node in nodes:
        problem = _misfit(pod, node)
        if problem is None:
            return node.name, ""
        problems[problem] += 1
    if not nodes:
        return "", "no nodes available to schedule pods"
    told = ", ".join(f"{count} {problem}" for problem, count in sorted(problems.items()))
    return "", f"0/{len(nodes)} nodes are available: {told}."


def _misfit(pod: Object, node: Object) -> str | None:
    ready = find_condition(node.status.get("conditions"), "Ready")
    if ready is None or ready.get("status") != "True":
        return "node(s) were not ready"
    if node.spec.get("unschedulable"):
        return "node(s) were unschedulable"
    selector = pod.spec.get("nodeSelector") or {}
    affinity = ((pod.spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not LabelSelector.of(selector).matches(node.labels) or (affinity and not _wanted_by(affinity, node)):
        return "node(s) didn't match Pod's node affinity/selector"
    for taint in node.spec.get("taints") or ():
        tolerated = any(_tolerates(toleration, taint) for toleration in pod.spec.get("tolerations") or ())
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not tolerated:
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    return None


def _wanted_by(affinity: Mapping[str, Any], node: Object) -> bool:
    terms = affinity.get("nodeSelectorTerms") or ()
    return any(
        _matches_all(term.get("matchExpressions"), node.labels)
        and _matches_all(term.get("matchFields"), {"metadata.name": node.name})
        for term in terms
    )


def _matches_all(expressions: Iterable[Mapping[str, Any]] | None, labels: Mapping[str, str]) -> bool:
    return LabelSelector.from_dict({"matchExpressions": list(expressions or ())}).matches(labels)


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return bool(toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""))
