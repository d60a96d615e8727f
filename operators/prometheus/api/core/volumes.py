"""Volumes of Pods, and what they are made of."""

from __future__ import annotations

from pydantic import Field

from controllerkit.schema import Int32, Int64
from operators.prometheus.api.core.claims import PersistentVolumeClaimTemplate
from operators.prometheus.api.core.meta import (
    LabelSelector,
    LocalObjectReference,
    ObjectFieldSelector,
    ResourceFieldSelector,
)
from operators.prometheus.api.core.volume_plugins import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFileVolumeSource,
    CephFSVolumeSource,
    CinderVolumeSource,
    CSIVolumeSource,
    FCVolumeSource,
    FlexVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    GitRepoVolumeSource,
    GlusterfsVolumeSource,
    ISCSIVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    RBDVolumeSource,
    ScaleIOVolumeSource,
    StorageOSVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from operators.prometheus.api.types import AtomicList, Model, Quantity

__all__ = [
    "ClusterTrustBundleProjection",
    "ConfigMapProjection",
    "ConfigMapVolumeSource",
    "DownwardAPIProjection",
    "DownwardAPIVolumeFile",
    "DownwardAPIVolumeSource",
    "EmptyDirVolumeSource",
    "EphemeralVolumeSource",
    "HostPathVolumeSource",
    "ImageVolumeSource",
    "KeyToPath",
    "PersistentVolumeClaimVolumeSource",
    "PodCertificateProjection",
    "ProjectedVolumeSource",
    "SecretProjection",
    "SecretVolumeSource",
    "ServiceAccountTokenProjection",
    "Volume",
    "VolumeProjection",
    "VolumeSource",
]


class EmptyDirVolumeSource(Model):
    """A folder that is empty at first and lives as long as the Pod."""

    medium: str | None = None
    size_limit: Quantity | None = None


class EphemeralVolumeSource(Model):
    """A claim that lives as long as the Pod."""

    volume_claim_template: PersistentVolumeClaimTemplate | None = None


class KeyToPath(Model):
    """Which file a key becomes."""

    key: str
    path: str
    mode: Int32 | None = None


class ConfigMapVolumeSource(LocalObjectReference):
    """The keys of a ConfigMap as files."""

    items: AtomicList[KeyToPath] | None = None
    default_mode: Int32 | None = None
    optional: bool | None = None


class DownwardAPIVolumeFile(Model):
    """A field of the Pod as a file."""

    path: str
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: Int32 | None = None


class DownwardAPIVolumeSource(Model):
    """Fields of the Pod as files."""

    items: AtomicList[DownwardAPIVolumeFile] | None = None
    default_mode: Int32 | None = None


class HostPathVolumeSource(Model):
    """A path of the node."""

    path: str
    type: str | None = None


class ImageVolumeSource(Model):
    """The content of an OCI image or artifact."""

    reference: str | None = None
    pull_policy: str | None = None


class PersistentVolumeClaimVolumeSource(Model):
    """The volume of a claim."""

    claim_name: str
    read_only: bool | None = None


class ClusterTrustBundleProjection(Model):
    """Certificates of authorities that the cluster trusts, as a file."""

    name: str | None = None
    signer_name: str | None = None
    label_selector: LabelSelector | None = None
    optional: bool | None = None
    path: str


class ConfigMapProjection(LocalObjectReference):
    """The keys of a ConfigMap as files beside others."""

    items: AtomicList[KeyToPath] | None = None
    optional: bool | None = None


class DownwardAPIProjection(Model):
    """Fields of the Pod as files beside others."""

    items: AtomicList[DownwardAPIVolumeFile] | None = None


class PodCertificateProjection(Model):
    """A key and its certificate, issued for the Pod."""

    signer_name: str
    key_type: str
    max_expiration_seconds: Int32 | None = None
    credential_bundle_path: str | None = None
    key_path: str | None = None
    certificate_chain_path: str | None = None
    user_annotations: dict[str, str] | None = None


class SecretProjection(LocalObjectReference):
    """The keys of a Secret as files beside others."""

    items: AtomicList[KeyToPath] | None = None
    optional: bool | None = None


class ServiceAccountTokenProjection(Model):
    """A token of the Pod's ServiceAccount as a file."""

    audience: str | None = None
    expiration_seconds: Int64 | None = None
    path: str


class VolumeProjection(Model):
    """One of the sources of a projected volume."""

    secret: SecretProjection | None = None
    downward_api: DownwardAPIProjection | None = Field(default=None, alias="downwardAPI")
    config_map: ConfigMapProjection | None = None
    service_account_token: ServiceAccountTokenProjection | None = None
    cluster_trust_bundle: ClusterTrustBundleProjection | None = None
    pod_certificate: PodCertificateProjection | None = None


class ProjectedVolumeSource(Model):
    """Files of several sources in one folder."""

    sources: AtomicList[VolumeProjection] | None = None
    default_mode: Int32 | None = None


class SecretVolumeSource(Model):
    """The keys of a Secret as files."""

    secret_name: str | None = None
    items: AtomicList[KeyToPath] | None = None
    default_mode: Int32 | None = None
    optional: bool | None = None


class VolumeSource(Model):
    """Where a volume comes from; one of these."""

    host_path: HostPathVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    git_repo: GitRepoVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    glusterfs: GlusterfsVolumeSource | None = None
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    flex_volume: FlexVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    cephfs: CephFSVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = Field(default=None, alias="downwardAPI")
    fc: FCVolumeSource | None = None
    azure_file: AzureFileVolumeSource | None = None
    config_map: ConfigMapVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None
    scale_io: ScaleIOVolumeSource | None = Field(default=None, alias="scaleIO")
    storageos: StorageOSVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    image: ImageVolumeSource | None = None


class Volume(VolumeSource):
    """A volume of a Pod."""

    name: str
