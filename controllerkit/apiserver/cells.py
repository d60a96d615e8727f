"""What stands in the cells of kubectl's tables, per kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from controllerkit.objects import LabelSelector, find_condition

__all__ = ["CELLS", "age", "human_duration"]

Value = Mapping[str, Any]
NONE: Final = "<none>"
UNKNOWN: Final = "<unknown>"
_EVERY_MODE: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def human_duration(seconds: float) -> str:
    """A span in at most two units, coarser as it grows.

    >>> [human_duration(s) for s in (-5, 0, 90, 150, 600, 7300, 100000, 800000, 40000000)]
    ['<invalid>', '0s', '90s', '2m30s', '10m', '121m', '27h', '9d', '462d']
    """
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    total = max(total, 0)
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if total < 120:
        return f"{total}s"
    if minutes < 10:
        return f"{minutes}m{total % 60}s" if total % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        rest = (days // 1) % 365
        return f"{days // 365}y{rest}d" if rest else f"{days // 365}y"
    return f"{days // 365}y"


def since(timestamp: str | None, now: datetime) -> str:
    """How long ago a timestamp is."""
    if not timestamp:
        return UNKNOWN
    then = datetime.fromisoformat(timestamp)
    return human_duration((now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds())


def age(value: Value, now: datetime) -> str:
    """The object's."""
    return since(value["metadata"].get("creationTimestamp"), now)


def _name(value: Value) -> str:
    return str(value["metadata"]["name"])


def _spec(value: Value) -> Value:
    return value.get("spec") or {}


def _status(value: Value) -> Value:
    return value.get("status") or {}


def _joined(values: Iterable[Any]) -> str:
    return ",".join(str(value) for value in values)


def _images(value: Value) -> list[str]:
    spec = (_spec(value).get("template") or {}).get("spec") or {}
    containers = spec.get("containers") or ()
    return [_joined(one.get("name") for one in containers), _joined(one.get("image") for one in containers)]


def _selector(value: Value) -> str:
    return str(LabelSelector.from_dict(_spec(value).get("selector"))) or NONE


def _pod_reason(value: Value) -> str:
    status = _status(value)
    reason = str(status.get("reason") or status.get("phase") or "")
    spec = _spec(value)
    starting = _init_reason(spec, status)
    if starting:
        reason = starting
    else:
        running = False
        for one in reversed(status.get("containerStatuses") or []):
            state = one.get("state") or {}
            waiting, ended = state.get("waiting") or {}, state.get("terminated")
            if waiting.get("reason"):
                reason = waiting["reason"]
            elif ended is not None:
                code, number = ended.get("signal"), ended.get("exitCode", 0)
                reason = ended.get("reason") or (f"Signal:{code}" if code else f"ExitCode:{number}")
            elif one.get("ready") and "running" in state:
                running = True
        if reason == "Completed" and running:
            ready = find_condition(status.get("conditions"), "Ready")
            reason = "Running" if ready and ready.get("status") == "True" else "NotReady"
    if value["metadata"].get("deletionTimestamp"):
        lost = status.get("reason") == "NodeLost"
        return "Unknown" if lost else reason if status.get("phase") in ("Succeeded", "Failed") else "Terminating"
    return reason


def _init_reason(spec: Value, status: Value) -> str:
    total = len(spec.get("initContainers") or ())
    for index, one in enumerate(status.get("initContainerStatuses") or ()):
        state = one.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if ended is not None:
            code, number = ended.get("signal"), ended.get("exitCode", 0)
            return "Init:" + (ended.get("reason") or (f"Signal:{code}" if code else f"ExitCode:{number}"))
        waiting = (state.get("waiting") or {}).get("reason", "")
        return f"Init:{waiting}" if waiting and waiting != "PodInitializing" else f"Init:{index}/{total}"
    return ""


def _restarts(value: Value, now: datetime) -> str:
    statuses = _status(value).get("containerStatuses") or ()
    count = sum(int(one.get("restartCount", 0)) for one in statuses)
    ended = [((one.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for one in statuses]
    last = max(filter(None, ended), default=None)
    return f"{count} ({since(last, now)} ago)" if count and last else str(count)


def _pod(value: Value, now: datetime) -> list[Any]:
    spec, status = _spec(value), _status(value)
    statuses = status.get("containerStatuses") or ()
    ready = sum(bool(one.get("ready")) and "running" in (one.get("state") or {}) for one in statuses)
    gates = spec.get("readinessGates") or ()
    passed = sum(
        (find_condition(status.get("conditions"), gate.get("conditionType", "")) or {}).get("status") == "True"
        for gate in gates
    )
    return [
        _name(value),
        f"{ready}/{len(spec.get('containers') or ())}",
        _pod_reason(value),
        _restarts(value, now),
        age(value, now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{passed}/{len(gates)}" if gates else NONE,
    ]


_ROLE_LABEL: Final = "node-role.kubernetes.io/"


def _node(value: Value, now: datetime) -> list[Any]:
    spec, status = _spec(value), _status(value)
    ready = find_condition(status.get("conditions"), "Ready")
    words = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if spec.get("unschedulable"):
        words.append("SchedulingDisabled")
    labels = value["metadata"].get("labels") or {}
    roles = sorted(key.removeprefix(_ROLE_LABEL) for key in labels if key.startswith(_ROLE_LABEL))
    info = status.get("nodeInfo") or {}

    def address(kind: str) -> str:
        found = next((one["address"] for one in status.get("addresses") or () if one.get("type") == kind), None)
        return found or NONE

    return [
        _name(value),
        _joined(words),
        _joined(roles) or NONE,
        age(value, now),
        info.get("kubeletVersion") or "",
        address("InternalIP"),
        address("ExternalIP"),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _ports(ports: Iterable[Value]) -> str:
    shown = []
    for port in ports:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{node}/{port.get('protocol')}")
    return _joined(shown) or NONE


def _external(value: Value) -> str:
    spec = _spec(value)
    kind = spec.get("type")
    if kind == "ExternalName":
        return str(spec.get("externalName"))
    own = _joined(spec.get("externalIPs") or ())
    if kind == "LoadBalancer":
        ingress = ((_status(value).get("loadBalancer") or {}).get("ingress")) or ()
        found = _joined(one.get("ip") or one.get("hostname") for one in ingress)
        return ",".join(filter(None, (found, own))) or "<pending>"
    return own or NONE


def _service(value: Value, now: datetime) -> list[Any]:
    spec = _spec(value)
    selector = _joined(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items())) or NONE
    return [
        _name(value),
        spec.get("type") or "ClusterIP",
        spec.get("clusterIP") or NONE,
        _external(value),
        _ports(spec.get("ports") or ()),
        age(value, now),
        selector,
    ]


def _modes(modes: Iterable[str] | None) -> str:
    present = set(modes or ())
    return _joined(short for mode, short in _EVERY_MODE.items() if mode in present)


def _claim(value: Value, now: datetime) -> list[Any]:
    spec, status = _spec(value), _status(value)
    bound = bool(spec.get("volumeName"))
    phase = "Terminating" if value["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        _name(value),
        phase,
        spec.get("volumeName") or "",
        (status.get("capacity") or {}).get("storage", "") if bound else "",
        _modes(status.get("accessModes")) if bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        age(value, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _volume(value: Value, now: datetime) -> list[Any]:
    spec, status = _spec(value), _status(value)
    claim = spec.get("claimRef")
    phase = "Terminating" if value["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        _name(value),
        (spec.get("capacity") or {}).get("storage", ""),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy") or "",
        phase,
        f"{claim.get('namespace')}/{claim.get('name')}" if claim else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason") or "",
        age(value, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _event(value: Value, now: datetime) -> list[Any]:
    involved = value.get("involvedObject") or {}
    series = value.get("series") or {}
    first = value.get("firstTimestamp") or value.get("eventTime")
    last = value.get("lastTimestamp") or series.get("lastObservedTime") or first
    source = value.get("source") or {}
    where = ", ".join(filter(None, (source.get("component") or value.get("reportingComponent"), source.get("host"))))
    return [
        since(last, now),
        value.get("type", ""),
        value.get("reason", ""),
        f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}",
        involved.get("fieldPath", ""),
        where,
        str(value.get("message", "")).strip(),
        since(first, now),
        value.get("count") or series.get("count") or 1,
        _name(value),
    ]


def _deployment(value: Value, now: datetime) -> list[Any]:
    spec, status = _spec(value), _status(value)
    return [
        _name(value),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        str(status.get("updatedReplicas", 0)),
        str(status.get("availableReplicas", 0)),
        age(value, now),
        *_images(value),
        _selector(value),
    ]


def _stateful_set(value: Value, now: datetime) -> list[Any]:
    ready = f"{_status(value).get('readyReplicas', 0)}/{_spec(value).get('replicas', 0)}"
    return [_name(value), ready, age(value, now), *_images(value)]


def _replica_set(value: Value, now: datetime) -> list[Any]:
    status = _status(value)
    counts = [_spec(value).get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [_name(value), *counts, age(value, now), *_images(value), _selector(value)]


def _daemon_set(value: Value, now: datetime) -> list[Any]:
    status = _status(value)
    names = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    template = (_spec(value).get("template") or {}).get("spec") or {}
    nodes = _joined(f"{k}={v}" for k, v in sorted((template.get("nodeSelector") or {}).items())) or NONE
    counts = [status.get(name, 0) for name in names]
    return [_name(value), *counts, nodes, age(value, now), *_images(value), _selector(value)]


def _revision(value: Value, now: datetime) -> list[Any]:
    owners = value["metadata"].get("ownerReferences") or ()
    owner = next((one for one in owners if one.get("controller")), None)
    shown = NONE
    if owner:
        group, slash, _ = owner["apiVersion"].partition("/")
        shown = f"{owner['kind'].lower()}{'.' + group if slash else ''}/{owner['name']}"
    return [_name(value), shown, str(value.get("revision", 0)), age(value, now)]


def _job(value: Value, now: datetime) -> list[Any]:
    spec, status = _spec(value), _status(value)
    wanted = spec.get("completions")
    done = status.get("succeeded", 0)
    total = f"{done}/{wanted}" if wanted is not None else f"{done}/1 of {spec.get('parallelism', 1)}"
    started, ended = status.get("startTime"), status.get("completionTime")
    span = ""
    if started:
        end = datetime.fromisoformat(ended) if ended else now
        span = human_duration((end - datetime.fromisoformat(started)).total_seconds())
    state = "Running"
    for kind, word in (("Complete", "Complete"), ("Failed", "Failed"), ("Suspended", "Suspended")):
        if (find_condition(status.get("conditions"), kind) or {}).get("status") == "True":
            state = word
            break
    if value["metadata"].get("deletionTimestamp"):
        state = "Terminating"
    return [_name(value), state, total, span, age(value, now), *_images(value), _selector(value)]


def _cron_job(value: Value, now: datetime) -> list[Any]:
    spec, status = _spec(value), _status(value)
    last = status.get("lastScheduleTime")
    job = {"spec": (spec.get("jobTemplate") or {}).get("spec") or {}}
    return [
        _name(value),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        bool(spec.get("suspend")),
        len(status.get("active") or ()),
        since(last, now) if last else NONE,
        age(value, now),
        *_images(job),
        _selector(job),
    ]


_NO_PORT: Final[list[dict[str, Any]]] = [{}]


def _endpoint_addresses(value: Value) -> str:
    shown: list[str] = []
    for subset in value.get("subsets") or ():
        for port in subset.get("ports") or _NO_PORT:
            shown += [
                f"{one['ip']}:{port['port']}" if port.get("port") else one["ip"]
                for one in subset.get("addresses") or ()
            ]
    more = f" + {len(shown) - 3} more..." if len(shown) > 3 else ""
    return _joined(shown[:3]) + more if shown else NONE


def _slice(value: Value, now: datetime) -> list[Any]:
    ports = _joined(one.get("port", "*") for one in value.get("ports") or ()) or "<unset>"
    addresses = [address for one in value.get("endpoints") or () for address in one.get("addresses") or ()]
    more = f" + {len(addresses) - 3} more..." if len(addresses) > 3 else ""
    shown = _joined(addresses[:3]) + more if addresses else "<unset>"
    return [_name(value), value.get("addressType", ""), ports, shown, age(value, now)]


def _budget(value: Value, now: datetime) -> list[Any]:
    spec = _spec(value)
    bounds = [str(spec[name]) if name in spec else "N/A" for name in ("minAvailable", "maxUnavailable")]
    return [_name(value), *bounds, _status(value).get("disruptionsAllowed", 0), age(value, now)]


def _storage_class(value: Value, now: datetime) -> list[Any]:
    annotations = value["metadata"].get("annotations") or {}
    default = annotations.get("storageclass.kubernetes.io/is-default-class") == "true"
    return [
        _name(value) + (" (default)" if default else ""),
        value.get("provisioner", ""),
        value.get("reclaimPolicy", "Delete"),
        value.get("volumeBindingMode", "Immediate"),
        "true" if value.get("allowVolumeExpansion") else "false",
        age(value, now),
    ]


def _binding(value: Value, now: datetime) -> list[Any]:
    role = value.get("roleRef") or {}
    subjects = value.get("subjects") or ()

    def named(kind: str) -> str:
        found = [one for one in subjects if one.get("kind") == kind]
        return ", ".join(f"{one['namespace']}/{one['name']}" if one.get("namespace") else one["name"] for one in found)

    shown = f"{role.get('kind')}/{role.get('name')}"
    return [_name(value), shown, age(value, now), named("User"), named("Group"), named("ServiceAccount")]


def _definition(value: Value, now: datetime) -> list[Any]:
    spec = _spec(value)
    names = spec.get("names") or {}
    versions = [
        one["name"] + ("(storage)" if one.get("storage") else "")
        for one in spec.get("versions") or ()
        if one.get("served")
    ]
    condition = find_condition(_status(value).get("conditions"), "Established")
    return [
        _name(value),
        spec.get("scope", ""),
        _joined(versions),
        value["metadata"].get("creationTimestamp"),
        spec.get("group", ""),
        names.get("kind", ""),
        _joined(names.get("shortNames") or ()),
        condition is not None and condition.get("status") == "True",
    ]


def _created(value: Value, now: datetime) -> list[Any]:
    return [_name(value), value["metadata"].get("creationTimestamp")]


def _namespace(value: Value, now: datetime) -> list[Any]:
    return [_name(value), _status(value).get("phase", ""), age(value, now)]


def _config_map(value: Value, now: datetime) -> list[Any]:
    return [_name(value), len(value.get("data") or {}) + len(value.get("binaryData") or {}), age(value, now)]


def _secret(value: Value, now: datetime) -> list[Any]:
    return [_name(value), value.get("type", ""), len(value.get("data") or {}), age(value, now)]


def _lease(value: Value, now: datetime) -> list[Any]:
    return [_name(value), _spec(value).get("holderIdentity") or "", age(value, now)]


def _endpoints(value: Value, now: datetime) -> list[Any]:
    return [_name(value), _endpoint_addresses(value), age(value, now)]


_RBAC: Final = "rbac.authorization.k8s.io"
CELLS: Final[Mapping[str, Callable[[Value, datetime], list[Any]]]] = {
    "pods": _pod,
    "nodes": _node,
    "services": _service,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "events": _event,
    "events.events.k8s.io": _event,
    "namespaces": _namespace,
    "configmaps": _config_map,
    "secrets": _secret,
    "endpoints": _endpoints,
    "deployments.apps": _deployment,
    "statefulsets.apps": _stateful_set,
    "replicasets.apps": _replica_set,
    "daemonsets.apps": _daemon_set,
    "controllerrevisions.apps": _revision,
    "jobs.batch": _job,
    "cronjobs.batch": _cron_job,
    "leases.coordination.k8s.io": _lease,
    "endpointslices.discovery.k8s.io": _slice,
    "poddisruptionbudgets.policy": _budget,
    "storageclasses.storage.k8s.io": _storage_class,
    f"roles.{_RBAC}": _created,
    f"clusterroles.{_RBAC}": _created,
    f"rolebindings.{_RBAC}": _binding,
    f"clusterrolebindings.{_RBAC}": _binding,
    "customresourcedefinitions.apiextensions.k8s.io": _definition,
}
"""Cells in the order of ``table.COLUMNS``."""
