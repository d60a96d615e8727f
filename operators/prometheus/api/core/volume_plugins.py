"""Volumes of storage systems, each with fields of its own."""

from __future__ import annotations

from pydantic import Field

from controllerkit.schema import Int32
from operators.prometheus.api.core.meta import LocalObjectReference
from operators.prometheus.api.types import AtomicList, Model

__all__ = [
    "AWSElasticBlockStoreVolumeSource",
    "AzureDiskVolumeSource",
    "AzureFileVolumeSource",
    "CSIVolumeSource",
    "CephFSVolumeSource",
    "CinderVolumeSource",
    "FCVolumeSource",
    "FlexVolumeSource",
    "FlockerVolumeSource",
    "GCEPersistentDiskVolumeSource",
    "GitRepoVolumeSource",
    "GlusterfsVolumeSource",
    "ISCSIVolumeSource",
    "NFSVolumeSource",
    "PhotonPersistentDiskVolumeSource",
    "PortworxVolumeSource",
    "QuobyteVolumeSource",
    "RBDVolumeSource",
    "ScaleIOVolumeSource",
    "StorageOSVolumeSource",
    "VsphereVirtualDiskVolumeSource",
]


class AWSElasticBlockStoreVolumeSource(Model):
    """A disk of AWS."""

    volume_id: str = Field(alias="volumeID")
    fs_type: str | None = None
    partition: Int32 | None = None
    read_only: bool | None = None


class AzureDiskVolumeSource(Model):
    """A disk of Azure."""

    disk_name: str
    disk_uri: str = Field(alias="diskURI")
    caching_mode: str | None = None
    fs_type: str = "ext4"
    read_only: bool = False
    kind: str | None = None


class AzureFileVolumeSource(Model):
    """A file share of Azure."""

    secret_name: str
    share_name: str
    read_only: bool | None = None


class CephFSVolumeSource(Model):
    """A CephFS file system."""

    monitors: AtomicList[str]
    path: str | None = None
    user: str | None = None
    secret_file: str | None = None
    secret_ref: LocalObjectReference | None = None
    read_only: bool | None = None


class CinderVolumeSource(Model):
    """A Cinder volume of OpenStack."""

    volume_id: str = Field(alias="volumeID")
    fs_type: str | None = None
    read_only: bool | None = None
    secret_ref: LocalObjectReference | None = None


class CSIVolumeSource(Model):
    """A volume of a CSI driver that lives as long as the Pod."""

    driver: str
    read_only: bool | None = None
    fs_type: str | None = None
    volume_attributes: dict[str, str] | None = None
    node_publish_secret_ref: LocalObjectReference | None = None


class FCVolumeSource(Model):
    """A Fibre Channel disk."""

    target_wwns: AtomicList[str] | None = Field(default=None, alias="targetWWNs")
    lun: Int32 | None = None
    fs_type: str | None = None
    read_only: bool | None = None
    wwids: AtomicList[str] | None = None


class FlexVolumeSource(Model):
    """A volume of a FlexVolume driver."""

    driver: str
    fs_type: str | None = None
    secret_ref: LocalObjectReference | None = None
    read_only: bool | None = None
    options: dict[str, str] | None = None


class FlockerVolumeSource(Model):
    """A Flocker dataset."""

    dataset_name: str | None = None
    dataset_uuid: str | None = Field(default=None, alias="datasetUUID")


class GCEPersistentDiskVolumeSource(Model):
    """A disk of Google's cloud."""

    pd_name: str
    fs_type: str | None = None
    partition: Int32 | None = None
    read_only: bool | None = None


class GitRepoVolumeSource(Model):
    """A git repository, cloned when the Pod starts."""

    repository: str
    revision: str | None = None
    directory: str | None = None


class GlusterfsVolumeSource(Model):
    """A Glusterfs volume."""

    endpoints: str
    path: str
    read_only: bool | None = None


class ISCSIVolumeSource(Model):
    """An iSCSI disk."""

    target_portal: str
    iqn: str
    lun: Int32
    iscsi_interface: str = "default"
    fs_type: str | None = None
    read_only: bool | None = None
    portals: AtomicList[str] | None = None
    chap_auth_discovery: bool | None = None
    chap_auth_session: bool | None = None
    secret_ref: LocalObjectReference | None = None
    initiator_name: str | None = None


class NFSVolumeSource(Model):
    """An NFS export."""

    server: str
    path: str
    read_only: bool | None = None


class PhotonPersistentDiskVolumeSource(Model):
    """A disk of Photon Controller."""

    pd_id: str = Field(alias="pdID")
    fs_type: str | None = None


class PortworxVolumeSource(Model):
    """A Portworx volume."""

    volume_id: str = Field(alias="volumeID")
    fs_type: str | None = None
    read_only: bool | None = None


class QuobyteVolumeSource(Model):
    """A Quobyte volume."""

    registry: str
    volume: str
    read_only: bool | None = None
    user: str | None = None
    group: str | None = None
    tenant: str | None = None


class RBDVolumeSource(Model):
    """A block device of Ceph."""

    monitors: AtomicList[str]
    image: str
    fs_type: str | None = None
    pool: str = "rbd"
    user: str = "admin"
    keyring: str = "/etc/ceph/keyring"
    secret_ref: LocalObjectReference | None = None
    read_only: bool | None = None


class ScaleIOVolumeSource(Model):
    """A ScaleIO volume."""

    gateway: str
    system: str
    secret_ref: LocalObjectReference
    ssl_enabled: bool | None = None
    protection_domain: str | None = None
    storage_pool: str | None = None
    storage_mode: str = "ThinProvisioned"
    volume_name: str | None = None
    fs_type: str = "xfs"
    read_only: bool | None = None


class StorageOSVolumeSource(Model):
    """A StorageOS volume."""

    volume_name: str | None = None
    volume_namespace: str | None = None
    fs_type: str | None = None
    read_only: bool | None = None
    secret_ref: LocalObjectReference | None = None


class VsphereVirtualDiskVolumeSource(Model):
    """A disk of vSphere."""

    volume_path: str
    fs_type: str | None = None
    storage_policy_name: str | None = None
    storage_policy_id: str | None = Field(default=None, alias="storagePolicyID")
