"""Defaults of built-in kinds: what the API server writes into fields the client left out.

Values follow the kinds' documentation in the Kubernetes API reference. Every function changes the decoded
object in place and may be applied twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["apply_builtin_defaults", "pod_qos_class"]

Value = dict[str, Any]


def _set(value: Value, **defaults: Any) -> Value:
    for name, default in defaults.items():
        value.setdefault(name, default)
    return value


def _probe(probe: Value) -> None:
    _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    _handler(probe)


def _handler(handler: Value) -> None:
    if http := handler.get("httpGet"):
        _set(http, path="/", scheme="HTTP")
    if (grpc := handler.get("grpc")) is not None:
        _set(grpc, service="")


def _pull_policy(image: str) -> str:
    """Always for the tag ``latest`` (written or not), else IfNotPresent."""
    if "@" in image:
        return "IfNotPresent"
    _, _, tag = image.rpartition("/")[2].partition(":")
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _container(container: Value) -> None:
    _set(
        container,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=_pull_policy(container.get("image", "")),
    )
    resources = container["resources"]
    if limits := resources.get("limits"):
        # A limit without a request is a request of the same amount.
        requests = resources.setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)
    for port in container.get("ports") or ():
        _set(port, protocol="TCP")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe):
            _probe(container[probe])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _handler(hook)
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference:
            _set(reference, apiVersion="v1")


def _downward_items(source: Value) -> None:
    for item in source.get("items") or ():
        if item.get("fieldRef"):
            _set(item["fieldRef"], apiVersion="v1")


_VOLUME_MODE: Final = 0o644


def _volume(volume: Value) -> None:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        if volume.get(kind) is not None:
            _set(volume[kind], defaultMode=_VOLUME_MODE)
    if volume.get("downwardAPI"):
        _downward_items(volume["downwardAPI"])
    if volume.get("hostPath"):
        _set(volume["hostPath"], type="")
    for source in (volume.get("projected") or {}).get("sources") or ():
        if token := source.get("serviceAccountToken"):
            _set(token, expirationSeconds=3600)
        if downward := source.get("downwardAPI"):
            _downward_items(downward)
    template = ((volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}).get("spec")
    if template:
        _set(template, volumeMode="Filesystem")


def pod_spec(spec: Value) -> None:
    """The defaults a Pod and a Pod template share."""
    _set(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if name := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"] = name
    for group in ("initContainers", "containers"):
        for container in spec.get(group) or ():
            _container(container)
            if spec.get("hostNetwork"):
                for port in container.get("ports") or ():
                    _set(port, hostPort=port.get("containerPort"))
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _template(value: Value) -> None:
    template = value.setdefault("template", {})
    template.setdefault("metadata", {})
    if isinstance(template.get("spec"), dict):
        pod_spec(template["spec"])


def pod_qos_class(spec: Mapping[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort, from cpu and memory of all containers."""
    requests: dict[str, int] = {}
    limits: dict[str, int] = {}
    guaranteed = True
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    for container in containers:
        resources = container.get("resources") or {}
        for name in ("cpu", "memory"):
            request, limit = (resources.get("requests") or {}).get(name), (resources.get("limits") or {}).get(name)
            requests[name] = requests.get(name, 0) + (request is not None)
            limits[name] = limits.get(name, 0) + (limit is not None)
            guaranteed = guaranteed and limit is not None and request == limit
    if not any(requests.values()) and not any(limits.values()):
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


_NOT_READY_S: Final = 300


def _pod(value: Value) -> None:
    spec = value.setdefault("spec", {})
    pod_spec(spec)
    _set(spec, enableServiceLinks=True, priority=0, preemptionPolicy="PreemptLowerPriority")
    if "serviceAccountName" not in spec:
        spec["serviceAccountName"] = spec["serviceAccount"] = "default"
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        tolerated = any(
            t.get("key") in (key, None, "") and t.get("effect") in ("NoExecute", None, "") for t in tolerations
        )
        if not tolerated:
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _NOT_READY_S}
            )


def _service(value: Value) -> None:
    spec = value.setdefault("spec", {})
    _set(spec, type="ClusterIP", sessionAffinity="None")
    if spec["sessionAffinity"] == "ClientIP":
        _set(_set(spec, sessionAffinityConfig={})["sessionAffinityConfig"], clientIP={"timeoutSeconds": 10800})
    for port in spec.get("ports") or ():
        _set(port, protocol="TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port")
    if spec["type"] != "ExternalName":
        _set(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _set(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _set(spec, allocateLoadBalancerNodePorts=True)
    _set(_set(value, status={})["status"], loadBalancer={})


def _deployment(value: Value) -> None:
    spec = value.setdefault("spec", {})
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = _set(spec, strategy={})["strategy"]
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(_set(strategy, rollingUpdate={})["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    _template(spec)
    value.setdefault("status", {})


def _stateful_set(value: Value) -> None:
    spec = value.setdefault("spec", {})
    _set(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady", serviceName="")
    strategy = _set(spec, updateStrategy={})["updateStrategy"]
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(_set(strategy, rollingUpdate={})["rollingUpdate"], partition=0, maxUnavailable=1)
    _set(
        _set(spec, persistentVolumeClaimRetentionPolicy={})["persistentVolumeClaimRetentionPolicy"],
        whenDeleted="Retain",
        whenScaled="Retain",
    )
    _template(spec)
    for claim in spec.get("volumeClaimTemplates") or ():
        _set(claim, apiVersion="v1", kind="PersistentVolumeClaim")
        _claim(claim)
    _set(_set(value, status={})["status"], replicas=0, availableReplicas=0)


def _replica_set(value: Value) -> None:
    spec = value.setdefault("spec", {})
    _set(spec, replicas=1)
    _template(spec)
    _set(_set(value, status={})["status"], replicas=0)


def _daemon_set(value: Value) -> None:
    spec = value.setdefault("spec", {})
    _set(spec, revisionHistoryLimit=10)
    strategy = _set(spec, updateStrategy={})["updateStrategy"]
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(_set(strategy, rollingUpdate={})["rollingUpdate"], maxUnavailable=1, maxSurge=0)
    _template(spec)
    _set(
        _set(value, status={})["status"],
        currentNumberScheduled=0,
        numberMisscheduled=0,
        desiredNumberScheduled=0,
        numberReady=0,
    )


def _job(value: Value) -> None:
    spec = value.setdefault("spec", {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = spec["parallelism"] = 1
    _set(
        spec,
        parallelism=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        podReplacementPolicy="TerminatingOrFailed",
        manualSelector=False,
    )
    _template(spec)
    value.setdefault("status", {})


def _cron_job(value: Value) -> None:
    spec = value.setdefault("spec", {})
    _set(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    template = spec.setdefault("jobTemplate", {})
    template.setdefault("metadata", {})
    if template.get("spec") is not None:
        _template(template["spec"])
    value.setdefault("status", {})


def _claim(value: Value) -> None:
    _set(value.setdefault("spec", {}), volumeMode="Filesystem")
    _set(_set(value, status={})["status"], phase="Pending")


def _volume_object(value: Value) -> None:
    spec = value.setdefault("spec", {})
    _set(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    if spec.get("hostPath"):
        _set(spec["hostPath"], type="")
    _set(_set(value, status={})["status"], phase="Pending")


_NODE_INFO: Final = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


def _node(value: Value) -> None:
    value.setdefault("spec", {})
    status = value.setdefault("status", {})
    _set(status, daemonEndpoints={"kubeletEndpoint": {"Port": 0}}, nodeInfo={})
    _set(status["nodeInfo"], **dict.fromkeys(_NODE_INFO, ""))
    if status.get("capacity"):
        _set(status, allocatable=dict(status["capacity"]))


def _namespace(value: Value) -> None:
    metadata = value["metadata"]
    metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata.get("name", "")
    finalizers = value.setdefault("spec", {}).setdefault("finalizers", [])
    if "kubernetes" not in finalizers and not metadata.get("deletionTimestamp"):
        finalizers.append("kubernetes")
    _set(_set(value, status={})["status"], phase="Active")


def _secret(value: Value) -> None:
    _set(value, type="Opaque")


def _storage_class(value: Value) -> None:
    _set(value, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _endpoints(value: Value) -> None:
    for subset in value.get("subsets") or ():
        for port in subset.get("ports") or ():
            _set(port, protocol="TCP")


def _endpoint_slice(value: Value) -> None:
    for port in value.get("ports") or ():
        _set(port, name="", protocol="TCP")
    for endpoint in value.get("endpoints") or ():
        _set(endpoint, conditions={})


def _binding(value: Value) -> None:
    role = value.get("roleRef")
    if isinstance(role, dict):
        _set(role, apiGroup="rbac.authorization.k8s.io")
    for subject in value.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            _set(subject, apiGroup="rbac.authorization.k8s.io")


def _role(value: Value) -> None:
    value.setdefault("rules", None)


def _event(value: Value) -> None:
    _set(
        value,
        source={},
        firstTimestamp=None,
        lastTimestamp=None,
        eventTime=None,
        reportingComponent="",
        reportingInstance="",
    )


def _disruption_budget(value: Value) -> None:
    _set(_set(value, status={})["status"], disruptionsAllowed=0, currentHealthy=0, desiredHealthy=0, expectedPods=0)


def _webhook_configuration(value: Value) -> None:
    """``SetDefaults_MutatingWebhook``, ``SetDefaults_ValidatingWebhook``, of its rules and Service too."""
    mutating = value.get("kind") == "MutatingWebhookConfiguration"
    for webhook in value.get("webhooks") or ():
        _set(webhook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
        _set(webhook, namespaceSelector={}, objectSelector={})
        if mutating:
            _set(webhook, reinvocationPolicy="Never")
        for rule in webhook.get("rules") or ():
            _set(rule, scope="*")
        if service := (webhook.get("clientConfig") or {}).get("service"):
            _set(service, port=443)


_DEFAULTS: Final[Mapping[str, Callable[[Value], None]]] = {
    "Pod": _pod,
    "Service": _service,
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "ReplicaSet": _replica_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "CronJob": _cron_job,
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _volume_object,
    "Node": _node,
    "Namespace": _namespace,
    "Secret": _secret,
    "StorageClass": _storage_class,
    "Endpoints": _endpoints,
    "EndpointSlice": _endpoint_slice,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
    "Role": _role,
    "ClusterRole": _role,
    "PodDisruptionBudget": _disruption_budget,
    "Event": _event,
    "MutatingWebhookConfiguration": _webhook_configuration,
    "ValidatingWebhookConfiguration": _webhook_configuration,
}


def apply_builtin_defaults(kind: str, value: Value) -> None:
    """Fills in what a client may leave out of an object of a built-in ``kind``."""
    if (fill := _DEFAULTS.get(kind)) is not None:
        fill(value)
