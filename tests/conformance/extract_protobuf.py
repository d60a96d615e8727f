"""Reads field numbers of the built-in kinds from Go's struct tags into controllerkit/apiserver/data/protobuf.json.

Run as ``python tests/conformance/extract_protobuf.py`` where Go is; the modules are those testbed/kubernetes pins.
Per message, by field number: the JSON name ("" where the fields are inlined), the type and a flag. Types are
``s`` text, ``x`` bytes, ``i`` integer, ``t`` boolean, ``d`` double or the name of a message; ``[]`` before it is a
list, ``{}`` a map from text. The flag is ``p`` where the zero value counts (pointers, and fields without omitempty).
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "controllerkit" / "apiserver" / "data" / "protobuf.json"
PACKAGES = {
    "core/v1": ("k8s.io/api", "core/v1"),
    "apps/v1": ("k8s.io/api", "apps/v1"),
    "batch/v1": ("k8s.io/api", "batch/v1"),
    "autoscaling/v1": ("k8s.io/api", "autoscaling/v1"),
    "coordination/v1": ("k8s.io/api", "coordination/v1"),
    "discovery/v1": ("k8s.io/api", "discovery/v1"),
    "events/v1": ("k8s.io/api", "events/v1"),
    "policy/v1": ("k8s.io/api", "policy/v1"),
    "storage/v1": ("k8s.io/api", "storage/v1"),
    "rbac/v1": ("k8s.io/api", "rbac/v1"),
    "authentication/v1": ("k8s.io/api", "authentication/v1"),
    "authorization/v1": ("k8s.io/api", "authorization/v1"),
    "meta/v1": ("k8s.io/apimachinery", "pkg/apis/meta/v1"),
}
KINDS = {
    "core/v1": "Namespace Node Pod Service Endpoints PersistentVolume PersistentVolumeClaim ConfigMap Secret "
    "ServiceAccount Event Binding",
    "apps/v1": "Deployment StatefulSet ReplicaSet DaemonSet ControllerRevision",
    "batch/v1": "Job CronJob",
    "autoscaling/v1": "Scale",
    "coordination/v1": "Lease",
    "discovery/v1": "EndpointSlice",
    "events/v1": "Event",
    "policy/v1": "PodDisruptionBudget Eviction",
    "storage/v1": "StorageClass",
    "rbac/v1": "Role RoleBinding ClusterRole ClusterRoleBinding",
    "authentication/v1": "TokenReview TokenRequest",
    "authorization/v1": "SelfSubjectAccessReview",
    "meta/v1": "DeleteOptions",
}
ALIASES = {"corev1": "core/v1", "v1": "core/v1", "metav1": "meta/v1", "appsv1": "apps/v1", "batchv1": "batch/v1"}
UNSERVED = ("scheduling",)
"""Packages of features no served kind needs."""
SPECIAL = {
    "metav1.Time": "Time",
    "metav1.MicroTime": "Time",
    "Time": "Time",
    "MicroTime": "Time",
    "resource.Quantity": "Quantity",
    "intstr.IntOrString": "IntOrString",
    "runtime.RawExtension": "Raw",
    "FieldsV1": "Raw",
    "metav1.FieldsV1": "Raw",
    "types.UID": "s",
    "types.NodeName": "s",
    "metav1.Duration": "Duration",
}
SCALARS = {
    "string": "s",
    "[]byte": "x",
    "int32": "i",
    "int64": "i",
    "int": "i",
    "uint16": "i",
    "bool": "t",
    "float64": "d",
}
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
ALIAS = re.compile(r"^type (\w+) ([\w\[\]*.]+)\s*$", re.MULTILINE)
FIELD = re.compile(r'^\t(?:(\w+)\s+)?([\w\[\]*.]+)\s+`[^`]*json:"([^"]*)"[^`]*?protobuf:"([^"]*)"', re.MULTILINE)


class Packages:
    """The parsed structs and aliases of every package."""

    def __init__(self) -> None:
        self.structs: dict[str, dict[str, str]] = {}
        self.aliases: dict[str, dict[str, str]] = {}
        for name, (module, folder) in PACKAGES.items():
            text = "".join(path.read_text() for path in sorted((module_dir(module) / folder).glob("*types.go")))
            self.structs[name] = dict(STRUCT.findall(text))
            self.aliases[name] = dict(ALIAS.findall(text))

    def type_of(self, package: str, go: str) -> str:
        """The type code of a Go type as written in ``package``."""
        go = go.lstrip("*")
        if go in SCALARS:
            return SCALARS[go]
        if go in SPECIAL:
            return SPECIAL[go]
        if go.startswith("[]"):
            return "[]" + self.type_of(package, go[2:])
        if go.startswith("map["):
            return "{}" + self.type_of(package, go.partition("]")[2])
        prefix, dot, name = go.rpartition(".")
        home = ALIASES[prefix] if dot else package
        if home == "core/v1" and prefix == "v1" and name not in self.structs[home] and name not in self.aliases[home]:
            home = "meta/v1"
        if name in self.structs[home]:
            return f"{home}.{name}"
        return self.type_of(home, self.aliases[home][name])

    def fields(self, package: str, name: str) -> dict[str, list[str]]:
        """The fields of a message by number."""
        found: dict[str, list[str]] = {}
        for _, go, json_tag, tag in FIELD.findall(self.structs[package][name]):
            if (prefix := re.match(r"[\[\]*]*(\w+)\.", go)) and prefix[1].startswith(UNSERVED):
                continue
            number = tag.split(",")[1]
            json_name, *options = json_tag.split(",")
            flag = "p" if go.startswith("*") or ("omitempty" not in options and "inline" not in options) else ""
            found[number] = ["" if "inline" in options else json_name, self.type_of(package, go), flag]
        return found


def module_dir(module: str) -> Path:
    """Where Go keeps the pinned version of ``module``."""
    command = ["go", "list", "-m", "-f", "{{.Dir}}", module]
    done = subprocess.run(command, cwd=ROOT / "testbed" / "kubernetes", capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def extract() -> dict[str, Any]:
    """Every message reachable from the kinds."""
    packages = Packages()
    pending = [f"{package}.{kind}" for package, kinds in KINDS.items() for kind in kinds.split()]
    found: dict[str, Any] = {}
    while pending:
        message = pending.pop()
        if message in found:
            continue
        package, _, name = message.partition(".")
        found[message] = packages.fields(package, name)
        for _, code, _ in found[message].values():
            bare = code.replace("[]", "").replace("{}", "")
            if "/" in bare:
                pending.append(bare)
    return dict(sorted(found.items()))


if __name__ == "__main__":
    TARGET.write_text(json.dumps(extract(), separators=(",", ":"), sort_keys=True) + "\n")
