"""Names of Services and Pods as a hosts file: the development cluster's DNS.

There is no kube-proxy and no DNS server. A Service's name, headless or not, gives the addresses of its ready Pods
(with ``publishNotReadyAddresses`` all of them), so a client talks to Pods on their own ports: a Service ``port``
that differs from its ``targetPort`` has no effect. Every name is given in full (``.svc.cluster.local``), as
``.svc``, and short as far as the reader's namespace allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from controllerkit.objects import LabelSelector, Object, find_condition

__all__ = ["cluster_names", "etc_files", "hosts_file", "own_hostname"]

DOMAIN: Final = "cluster.local"
HOSTNAME_MAX: Final = 63

Names = Mapping[str, Sequence[str]]
"""``name.namespace`` (``web.default``, ``web-0.web.default``) to addresses."""


def own_hostname(pod: Object) -> str:
    """``spec.hostname``, else the Pod's name, as the kubelet shortens it."""
    return str(pod.spec.get("hostname") or pod.name)[:HOSTNAME_MAX].rstrip("-.")


def cluster_names(services: Iterable[Object], pods: Iterable[Object]) -> dict[str, list[str]]:
    """What every Service's selector finds; sorted, so equal worlds give equal answers."""
    by_namespace: dict[str, list[Object]] = {}
    for pod in pods:
        if pod.status.get("podIP") and pod.status.get("phase") not in ("Succeeded", "Failed"):
            by_namespace.setdefault(pod.namespace, []).append(pod)
    names: dict[str, set[str]] = {}
    for service in services:
        selector = service.spec.get("selector")
        if not selector:
            continue
        matches = LabelSelector.of(selector).matches
        published = bool(service.spec.get("publishNotReadyAddresses"))
        for pod in by_namespace.get(service.namespace, ()):
            if not matches(pod.labels) or not (published or _is_ready(pod)):
                continue
            suffix = f"{service.name}.{service.namespace}"
            names.setdefault(suffix, set()).add(pod.status["podIP"])
            if pod.spec.get("subdomain") == service.name and pod.spec.get("hostname"):
                names.setdefault(f"{pod.spec['hostname']}.{suffix}", set()).add(pod.status["podIP"])
    return {name: sorted(addresses) for name, addresses in sorted(names.items())}


def _is_ready(pod: Object) -> bool:
    condition = find_condition(pod.status.get("conditions"), "Ready")
    return not pod.deleting and condition is not None and condition.get("status") == "True"


def hosts_file(pod: Object, pod_ip: str, names: Names, *, api_server: str = "") -> str:
    """``/etc/hosts`` for one Pod; ``api_server`` is the address behind ``kubernetes.default.svc``."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", _own_line(pod, pod_ip)]
    lines += [" ".join([alias["ip"], *(alias.get("hostnames") or ())]) for alias in pod.spec.get("hostAliases") or ()]
    if api_server:
        lines.append(f"{api_server} {' '.join(_forms('kubernetes.default', pod.namespace))}")
    for name, addresses in names.items():
        written = " ".join(_forms(name, pod.namespace))
        lines += [f"{address} {written}" for address in addresses]
    return "\n".join(lines) + "\n"


def _own_line(pod: Object, pod_ip: str) -> str:
    hostname, subdomain = own_hostname(pod), pod.spec.get("subdomain")
    full = [f"{hostname}.{subdomain}.{pod.namespace}.svc.{DOMAIN}"] if subdomain else []
    return " ".join([pod_ip, *full, hostname])


def _forms(name: str, reader: str) -> list[str]:
    short, _, namespace = name.rpartition(".")
    forms = [f"{name}.svc.{DOMAIN}", f"{name}.svc", name]
    return [*forms, short] if namespace == reader else forms


def etc_files(pod: Object, hosts: str) -> dict[str, str]:
    """Every file of the Pod's ``/etc`` that the node keeps, by name."""
    search = f"{pod.namespace}.svc.{DOMAIN} svc.{DOMAIN} {DOMAIN}"
    return {
        "hosts": hosts,
        "hostname": own_hostname(pod) + "\n",
        # Port 53 of loopback refuses at once, so an unknown name fails without a wait.
        "resolv.conf": f"search {search}\nnameserver 127.0.0.1\noptions ndots:5 attempts:1 timeout:1\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
        "group": "root:x:0:\nnogroup:x:65534:\n",
    }
