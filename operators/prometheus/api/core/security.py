"""Security contexts of Pods and containers."""

from __future__ import annotations

from controllerkit.schema import Int64
from operators.prometheus.api.types import AtomicList, Model

__all__ = [
    "AppArmorProfile",
    "Capabilities",
    "PodSecurityContext",
    "SELinuxOptions",
    "SeccompProfile",
    "SecurityContext",
    "Sysctl",
    "WindowsSecurityContextOptions",
]


class AppArmorProfile(Model):
    """The AppArmor profile of a container."""

    type: str
    localhost_profile: str | None = None


class Capabilities(Model):
    """Linux capabilities that are added and dropped."""

    add: AtomicList[str] | None = None
    drop: AtomicList[str] | None = None


class SELinuxOptions(Model):
    """The SELinux context of a container."""

    user: str | None = None
    role: str | None = None
    type: str | None = None
    level: str | None = None


class SeccompProfile(Model):
    """The seccomp profile of a container."""

    type: str
    localhost_profile: str | None = None


class WindowsSecurityContextOptions(Model):
    """What applies to Windows containers alone."""

    gmsa_credential_spec_name: str | None = None
    gmsa_credential_spec: str | None = None
    run_as_user_name: str | None = None
    host_process: bool | None = None


class SecurityContext(Model):
    """What a container may do."""

    capabilities: Capabilities | None = None
    privileged: bool | None = None
    se_linux_options: SELinuxOptions | None = None
    windows_options: WindowsSecurityContextOptions | None = None
    run_as_user: Int64 | None = None
    run_as_group: Int64 | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool | None = None
    allow_privilege_escalation: bool | None = None
    proc_mount: str | None = None
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None


class Sysctl(Model):
    """A kernel parameter of the Pod."""

    name: str
    value: str


class PodSecurityContext(Model):
    """What the containers of a Pod may do, and who owns its volumes."""

    se_linux_options: SELinuxOptions | None = None
    windows_options: WindowsSecurityContextOptions | None = None
    run_as_user: Int64 | None = None
    run_as_group: Int64 | None = None
    run_as_non_root: bool | None = None
    supplemental_groups: AtomicList[Int64] | None = None
    supplemental_groups_policy: str | None = None
    fs_group: Int64 | None = None
    sysctls: AtomicList[Sysctl] | None = None
    fs_group_change_policy: str | None = None
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None
    se_linux_change_policy: str | None = None
