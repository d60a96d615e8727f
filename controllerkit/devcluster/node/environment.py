"""A container's command and environment, resolved from the Pod, its Secrets and its ConfigMaps."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING
from typing import Any, Final

from controllerkit.errors import ControllerkitError
from controllerkit.objects import Object, parse_quantity

__all__ = [
    "ConfigMissing",
    "PodFacts",
    "Sources",
    "command_of",
    "environment",
    "expand",
    "field_value",
    "references",
    "resource_value",
]

_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_SUBSCRIPT: Final = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


class ConfigMissing(ControllerkitError):
    """A Secret, ConfigMap, key or field that a container or volume needs is not there."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The Secrets and ConfigMaps of the Pod's namespace that the Pod names; what does not exist is absent."""

    secrets: Mapping[str, Object] = field(default_factory=dict)
    config_maps: Mapping[str, Object] = field(default_factory=dict)

    def secret_data(self, name: str) -> Mapping[str, bytes] | None:
        """Every key of the Secret; None if there is no such Secret."""
        found = self.secrets.get(name)
        return None if found is None else {k: b64decode(v or "") for k, v in (found.get("data") or {}).items()}

    def config_map_data(self, name: str) -> Mapping[str, bytes] | None:
        """Every key of the ConfigMap, binary ones too; None if there is no such ConfigMap."""
        found = self.config_maps.get(name)
        if found is None:
            return None
        text = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        return text | {key: b64decode(value) for key, value in (found.get("binaryData") or {}).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """What ``fieldRef`` and ``resourceFieldRef`` can ask for beside the Pod itself."""

    pod: Object
    pod_ip: str = ""
    host_ip: str = ""
    cpus: int = 1
    memory_bytes: int = 0


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replaces ``$(NAME)``; ``$$`` is a dollar sign, and a reference to an unknown name stays as it is.

    >>> expand("$(A) $$(A) $(B) $A $(A", {"A": "1"})
    '1 $(A) $(B) $A $(A'
    """
    parts: list[str] = []
    at = 0
    while at < len(text):
        following = text[at + 1 : at + 2]
        if text[at] != "$" or following not in ("$", "("):
            parts.append(text[at])
            at += 1
        elif following == "$":
            parts.append("$")
            at += 2
        elif (end := text.find(")", at)) < 0:
            parts.append(text[at:])
            break
        else:
            parts.append(values.get(text[at + 2 : end], text[at : end + 1]))
            at = end + 1
    return "".join(parts)


def environment(
    container: Mapping[str, Any], facts: PodFacts, sources: Sources, base: Mapping[str, str]
) -> dict[str, str]:
    """``base`` (of the image and the node), under ``envFrom``, under ``env``, each in its order.

    Raises:
        ConfigMissing: something not marked optional is missing; the message is the kubelet's.
    """
    given: dict[str, str] = {}
    for entry in container.get("envFrom") or ():
        given |= _env_from(entry, facts, sources)
    for entry in container.get("env") or ():
        value = _value_of(entry, container, facts, sources, {**base, **given})
        if value is not None:
            given[entry["name"]] = value
    return {**base, **given}


def _env_from(entry: Mapping[str, Any], facts: PodFacts, sources: Sources) -> Iterator[tuple[str, str]]:
    if reference := entry.get("configMapRef"):
        data, what = sources.config_map_data(reference["name"]), "configmap"
    elif reference := entry.get("secretRef"):
        data, what = sources.secret_data(reference["name"]), "secret"
    else:
        return iter(())
    if data is None:
        if not reference.get("optional"):
            raise ConfigMissing(f'{what} "{reference["name"]}" not found')
        data = {}
    prefix = entry.get("prefix") or ""
    return iter(
        [(prefix + k, v.decode(errors="replace")) for k, v in sorted(data.items()) if _NAME.fullmatch(prefix + k)]
    )


def _value_of(
    entry: Mapping[str, Any],
    container: Mapping[str, Any],
    facts: PodFacts,
    sources: Sources,
    earlier: Mapping[str, str],
) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return expand(entry.get("value") or "", earlier)
    if reference := source.get("fieldRef"):
        return field_value(reference["fieldPath"], facts)
    if reference := source.get("resourceFieldRef"):
        return resource_value(reference, container, facts)
    if reference := source.get("configMapKeyRef"):
        data, what = sources.config_map_data(reference["name"]), "configmap"
    elif reference := source.get("secretKeyRef"):
        data, what = sources.secret_data(reference["name"]), "secret"
    else:
        raise ConfigMissing(f"the source of variable {entry['name']} is of no known kind: {', '.join(source)}")
    if data is not None and reference["key"] in data:
        return data[reference["key"]].decode(errors="replace")
    if reference.get("optional"):
        return None
    if data is None:
        raise ConfigMissing(f'{what} "{reference["name"]}" not found')
    kind = {"configmap": "ConfigMap", "secret": "Secret"}[what]
    raise ConfigMissing(f"couldn't find key {reference['key']} in {kind} {facts.pod.namespace}/{reference['name']}")


def field_value(path: str, facts: PodFacts) -> str:
    """The value at a ``fieldRef`` path; "" for a label or annotation that is absent.

    Raises:
        ConfigMissing: the path is none of those the API allows.
    """
    pod = facts.pod
    if found := _SUBSCRIPT.fullmatch(path):
        return (pod.labels if found[1] == "labels" else pod.annotations).get(found[2], "")
    simple = {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.uid,
        "metadata.labels": _pairs(pod.labels),
        "metadata.annotations": _pairs(pod.annotations),
        "spec.nodeName": pod.spec.get("nodeName", ""),
        "spec.serviceAccountName": pod.spec.get("serviceAccountName", ""),
        "status.hostIP": facts.host_ip,
        "status.hostIPs": facts.host_ip,
        "status.podIP": facts.pod_ip,
        "status.podIPs": facts.pod_ip,
    }
    if path not in simple:
        raise ConfigMissing(f"unsupported fieldPath: {path}")
    return str(simple[path])


def _pairs(values: Mapping[str, str]) -> str:
    escaped = ((key, value.replace("\\", "\\\\").replace('"', '\\"')) for key, value in sorted(values.items()))
    return "\n".join(f'{key}="{value}"' for key, value in escaped)


def resource_value(reference: Mapping[str, Any], container: Mapping[str, Any], facts: PodFacts) -> str:
    """A request or limit in whole ``divisor``s, rounded up; the node's capacity where there is no limit.

    Raises:
        ConfigMissing: the resource is not one of cpu, memory and ephemeral-storage.
    """
    group, _, resource = reference["resource"].partition(".")
    capacity = {"cpu": facts.cpus, "memory": facts.memory_bytes, "ephemeral-storage": 0}
    if group not in ("limits", "requests") or resource not in capacity:
        raise ConfigMissing(f"unsupported container resource: {reference['resource']}")
    resources = container.get("resources") or {}
    given = (resources.get(group) or {}).get(resource)
    value = (
        parse_quantity(given) if given is not None else parse_quantity(capacity[resource] if group == "limits" else 0)
    )
    divisor = parse_quantity(reference.get("divisor") or 1) or parse_quantity(1)
    return str(int((value / divisor).to_integral_value(ROUND_CEILING)))


def references(spec: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """The names of the Secrets and of the ConfigMaps that a Pod's spec mentions, optional ones too."""
    secrets: set[str] = set()
    config_maps: set[str] = set()
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        for entry in [
            *(container.get("envFrom") or ()),
            *[e.get("valueFrom") or {} for e in container.get("env") or ()],
        ]:
            for name in ("secretRef", "secretKeyRef"):
                secrets |= {entry[name]["name"]} if entry.get(name) else set()
            for name in ("configMapRef", "configMapKeyRef"):
                config_maps |= {entry[name]["name"]} if entry.get(name) else set()
    for volume in spec.get("volumes") or ():
        for source in [volume, *((volume.get("projected") or {}).get("sources") or ())]:
            if secret := source.get("secret"):
                secrets.add(secret.get("secretName") or secret.get("name") or "")
            if config_map := source.get("configMap"):
                config_maps.add(config_map.get("name") or "")
    return frozenset(filter(None, secrets)), frozenset(filter(None, config_maps))


def command_of(container: Mapping[str, Any], entrypoint: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """What runs: ``command``, else the image's entrypoint, and ``args``, with ``$(NAME)`` replaced in both."""
    command = [expand(word, values) for word in container.get("command") or ()] or list(entrypoint)
    return [*command, *(expand(word, values) for word in container.get("args") or ())]
