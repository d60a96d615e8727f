"""Containers, their environment, probes and mounts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from controllerkit.schema import Int32, Int64, list_map, map_atomic
from operators.prometheus.api.core.meta import (
    ConfigMapKeySelector,
    LocalObjectReference,
    ObjectFieldSelector,
    ResourceFieldSelector,
    ResourceRequirements,
    SecretKeySelector,
)
from operators.prometheus.api.core.security import SecurityContext
from operators.prometheus.api.types import AtomicList, EmptyByDefault, IntOrString, ListByName, Model, SetList

__all__ = [
    "ConfigMapEnvSource",
    "Container",
    "ContainerPort",
    "ContainerProbe",
    "ContainerResizePolicy",
    "ContainerRestartRule",
    "ContainerRestartRuleOnExitCodes",
    "EnvFromSource",
    "EnvVar",
    "EnvVarSource",
    "ExecAction",
    "FileKeySelector",
    "GRPCAction",
    "HTTPGetAction",
    "HTTPHeader",
    "Lifecycle",
    "LifecycleHandler",
    "ProbeHandler",
    "SecretEnvSource",
    "SleepAction",
    "TCPSocketAction",
    "VolumeDevice",
    "VolumeMount",
]


class FileKeySelector(Model, keywords=[map_atomic()]):
    """A variable in a file of a volume."""

    volume_name: str
    path: str
    key: str
    optional: bool = False


class EnvVarSource(Model):
    """Where the value of a variable comes from."""

    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: ConfigMapKeySelector | None = None
    secret_key_ref: SecretKeySelector | None = None
    file_key_ref: FileKeySelector | None = None


class EnvVar(Model):
    """A variable of a container's environment."""

    name: str
    value: str | None = None
    value_from: EnvVarSource | None = None


class ConfigMapEnvSource(LocalObjectReference):
    """A ConfigMap whose keys all become variables."""

    optional: bool | None = None


class SecretEnvSource(LocalObjectReference):
    """A Secret whose keys all become variables."""

    optional: bool | None = None


class EnvFromSource(Model):
    """Variables made of all the keys of an object."""

    prefix: str | None = None
    config_map_ref: ConfigMapEnvSource | None = None
    secret_ref: SecretEnvSource | None = None


class ExecAction(Model):
    """A command that is run in the container."""

    command: AtomicList[str] | None = None


class HTTPHeader(Model):
    """A header of a probe's request."""

    name: str
    value: str


class HTTPGetAction(Model):
    """A GET request to the container."""

    path: str | None = None
    port: IntOrString
    host: str | None = None
    scheme: str | None = None
    http_headers: AtomicList[HTTPHeader] | None = None


class SleepAction(Model):
    """A pause."""

    seconds: Int64


class TCPSocketAction(Model):
    """A connection that is opened."""

    port: IntOrString
    host: str | None = None


class LifecycleHandler(Model):
    """What is done when a container starts or stops."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Model):
    """What is done after the start and before the stop of a container."""

    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
    stop_signal: str | None = None


class GRPCAction(Model):
    """A call of the gRPC health service."""

    port: Int32
    service: EmptyByDefault = ""


class ProbeHandler(Model):
    """How a container is probed."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None


class ContainerProbe(ProbeHandler):
    """When and how a container is probed."""

    initial_delay_seconds: Int32 | None = None
    timeout_seconds: Int32 | None = None
    period_seconds: Int32 | None = None
    success_threshold: Int32 | None = None
    failure_threshold: Int32 | None = None
    termination_grace_period_seconds: Int64 | None = None


class ContainerPort(Model):
    """A port that a container listens on."""

    name: str | None = None
    host_port: Int32 | None = None
    container_port: Int32
    protocol: str = "TCP"
    host_ip: str | None = Field(default=None, alias="hostIP")


class ContainerResizePolicy(Model):
    """Whether a container restarts when a resource of it is changed."""

    resource_name: str
    restart_policy: str


class ContainerRestartRuleOnExitCodes(Model):
    """Exit codes that a rule is about."""

    operator: str
    values: SetList[Int32] | None = None


class ContainerRestartRule(Model):
    """When a container restarts, whatever the Pod's policy is."""

    action: str
    exit_codes: ContainerRestartRuleOnExitCodes | None = None


class VolumeDevice(Model):
    """A block device in a container."""

    name: str
    device_path: str


class VolumeMount(Model):
    """Where a volume is mounted in a container."""

    name: str
    read_only: bool | None = None
    recursive_read_only: str | None = None
    mount_path: str
    sub_path: str | None = None
    mount_propagation: str | None = None
    sub_path_expr: str | None = None


class Container(Model):
    """A container of a Pod."""

    name: str
    image: str | None = None
    command: AtomicList[str] | None = None
    args: AtomicList[str] | None = None
    working_dir: str | None = None
    ports: Annotated[list[ContainerPort], list_map("containerPort", "protocol")] | None = None
    env_from: AtomicList[EnvFromSource] | None = None
    env: ListByName[EnvVar] | None = None
    resources: ResourceRequirements | None = None
    resize_policy: AtomicList[ContainerResizePolicy] | None = None
    restart_policy: str | None = None
    restart_policy_rules: AtomicList[ContainerRestartRule] | None = None
    volume_mounts: Annotated[list[VolumeMount], list_map("mountPath")] | None = None
    volume_devices: Annotated[list[VolumeDevice], list_map("devicePath")] | None = None
    liveness_probe: ContainerProbe | None = None
    readiness_probe: ContainerProbe | None = None
    startup_probe: ContainerProbe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str | None = None
    termination_message_policy: str | None = None
    image_pull_policy: str | None = None
    security_context: SecurityContext | None = None
    stdin: bool | None = None
    stdin_once: bool | None = None
    tty: bool | None = None
