# Made by `python -m tests.conformance.generate_typed`.
from typing import Any, Literal, Required, TypedDict

class AWSElasticBlockStoreVolumeSource(TypedDict, total=False):
    fsType: str
    partition: int
    readOnly: bool
    volumeID: str

class Affinity(TypedDict, total=False):
    nodeAffinity: NodeAffinity
    podAffinity: PodAffinity
    podAntiAffinity: PodAntiAffinity

class AggregationRule(TypedDict, total=False):
    clusterRoleSelectors: list[LabelSelector]

class AppArmorProfile(TypedDict, total=False):
    localhostProfile: str
    type: Literal["Localhost", "RuntimeDefault", "Unconfined"]

class AttachedVolume(TypedDict, total=False):
    devicePath: str
    name: str

class AzureDiskVolumeSource(TypedDict, total=False):
    cachingMode: Literal["None", "ReadOnly", "ReadWrite"]
    diskName: str
    diskURI: str
    fsType: str
    kind: Literal["Dedicated", "Managed", "Shared"]
    readOnly: bool

class AzureFilePersistentVolumeSource(TypedDict, total=False):
    readOnly: bool
    secretName: str
    secretNamespace: str
    shareName: str

class AzureFileVolumeSource(TypedDict, total=False):
    readOnly: bool
    secretName: str
    shareName: str

class CSIPersistentVolumeSource(TypedDict, total=False):
    controllerExpandSecretRef: SecretReference
    controllerPublishSecretRef: SecretReference
    driver: str
    fsType: str
    nodeExpandSecretRef: SecretReference
    nodePublishSecretRef: SecretReference
    nodeStageSecretRef: SecretReference
    readOnly: bool
    volumeAttributes: dict[str, str]
    volumeHandle: str

class CSIVolumeSource(TypedDict, total=False):
    driver: str
    fsType: str
    nodePublishSecretRef: LocalObjectReference
    readOnly: bool
    volumeAttributes: dict[str, str]

class Capabilities(TypedDict, total=False):
    add: list[str]
    drop: list[str]

class CephFSPersistentVolumeSource(TypedDict, total=False):
    monitors: list[str]
    path: str
    readOnly: bool
    secretFile: str
    secretRef: SecretReference
    user: str

class CephFSVolumeSource(TypedDict, total=False):
    monitors: list[str]
    path: str
    readOnly: bool
    secretFile: str
    secretRef: LocalObjectReference
    user: str

class CinderPersistentVolumeSource(TypedDict, total=False):
    fsType: str
    readOnly: bool
    secretRef: SecretReference
    volumeID: str

class CinderVolumeSource(TypedDict, total=False):
    fsType: str
    readOnly: bool
    secretRef: LocalObjectReference
    volumeID: str

class ClientIPConfig(TypedDict, total=False):
    timeoutSeconds: int

class ClusterRole(TypedDict, total=False):
    apiVersion: Required[Literal["rbac.authorization.k8s.io/v1"]]
    kind: Required[Literal["ClusterRole"]]
    aggregationRule: AggregationRule
    metadata: ObjectMeta
    rules: list[PolicyRule]

class ClusterRoleBinding(TypedDict, total=False):
    apiVersion: Required[Literal["rbac.authorization.k8s.io/v1"]]
    kind: Required[Literal["ClusterRoleBinding"]]
    metadata: ObjectMeta
    roleRef: RoleRef
    subjects: list[Subject]

class ClusterTrustBundleProjection(TypedDict, total=False):
    labelSelector: LabelSelector
    name: str
    optional: bool
    path: str
    signerName: str
    user: int

class Condition(TypedDict, total=False):
    lastTransitionTime: str
    message: str
    observedGeneration: int
    reason: str
    status: str
    type: str

class ConfigMap(TypedDict, total=False):
    apiVersion: Required[Literal["v1"]]
    kind: Required[Literal["ConfigMap"]]
    binaryData: dict[str, str]
    data: dict[str, str]
    immutable: bool
    metadata: ObjectMeta

class ConfigMapEnvSource(TypedDict, total=False):
    name: str
    optional: bool

class ConfigMapKeySelector(TypedDict, total=False):
    key: str
    name: str
    optional: bool

class ConfigMapNodeConfigSource(TypedDict, total=False):
    kubeletConfigKey: str
    name: str
    namespace: str
    resourceVersion: str
    uid: str

class ConfigMapProjection(TypedDict, total=False):
    items: list[KeyToPath]
    name: str
    optional: bool

class ConfigMapVolumeSource(TypedDict, total=False):
    defaultMode: int
    defaultUser: int
    items: list[KeyToPath]
    name: str
    optional: bool

class Container(TypedDict, total=False):
    args: list[str]
    command: list[str]
    env: list[EnvVar]
    envFrom: list[EnvFromSource]
    image: str
    imagePullPolicy: Literal["Always", "IfNotPresent", "Never"]
    lifecycle: Lifecycle
    livenessProbe: Probe
    name: str
    ports: list[ContainerPort]
    readinessProbe: Probe
    resizePolicy: list[ContainerResizePolicy]
    resources: ResourceRequirements
    restartPolicy: str
    restartPolicyRules: list[ContainerRestartRule]
    securityContext: SecurityContext
    startupProbe: Probe
    stdin: bool
    stdinOnce: bool
    terminationMessagePath: str
    terminationMessagePolicy: Literal["FallbackToLogsOnError", "File"]
    tty: bool
    volumeDevices: list[VolumeDevice]
    volumeMounts: list[VolumeMount]
    workingDir: str

class ContainerExtendedResourceRequest(TypedDict, total=False):
    containerName: str
    requestName: str
    resourceName: str

class ContainerImage(TypedDict, total=False):
    names: list[str]
    sizeBytes: int

class ContainerPort(TypedDict, total=False):
    containerPort: int
    hostIP: str
    hostPort: int
    name: str
    protocol: Literal["SCTP", "TCP", "UDP"]

class ContainerResizePolicy(TypedDict, total=False):
    resourceName: str
    restartPolicy: str

class ContainerRestartRule(TypedDict, total=False):
    action: str
    exitCodes: ContainerRestartRuleOnExitCodes

class ContainerRestartRuleOnExitCodes(TypedDict, total=False):
    operator: str
    values: list[int]

class ContainerState(TypedDict, total=False):
    running: ContainerStateRunning
    terminated: ContainerStateTerminated
    waiting: ContainerStateWaiting

class ContainerStateRunning(TypedDict, total=False):
    startedAt: str

class ContainerStateTerminated(TypedDict, total=False):
    containerID: str
    exitCode: int
    finishedAt: str
    message: str
    reason: str
    signal: int
    startedAt: str

class ContainerStateWaiting(TypedDict, total=False):
    message: str
    reason: str

class ContainerStatus(TypedDict, total=False):
    allocatedResources: dict[str, str | int | float]
    allocatedResourcesStatus: list[ResourceStatus]
    containerID: str
    image: str
    imageID: str
    lastState: ContainerState
    name: str
    ready: bool
    resources: ResourceRequirements
    restartCount: int
    started: bool
    state: ContainerState
    stopSignal: Literal[
        "SIGABRT",
        "SIGALRM",
        "SIGBUS",
        "SIGCHLD",
        "SIGCLD",
        "SIGCONT",
        "SIGFPE",
        "SIGHUP",
        "SIGILL",
        "SIGINT",
        "SIGIO",
        "SIGIOT",
        "SIGKILL",
        "SIGPIPE",
        "SIGPOLL",
        "SIGPROF",
        "SIGPWR",
        "SIGQUIT",
        "SIGRTMAX",
        "SIGRTMAX-1",
        "SIGRTMAX-10",
        "SIGRTMAX-11",
        "SIGRTMAX-12",
        "SIGRTMAX-13",
        "SIGRTMAX-14",
        "SIGRTMAX-2",
        "SIGRTMAX-3",
        "SIGRTMAX-4",
        "SIGRTMAX-5",
        "SIGRTMAX-6",
        "SIGRTMAX-7",
        "SIGRTMAX-8",
        "SIGRTMAX-9",
        "SIGRTMIN",
        "SIGRTMIN+1",
        "SIGRTMIN+10",
        "SIGRTMIN+11",
        "SIGRTMIN+12",
        "SIGRTMIN+13",
        "SIGRTMIN+14",
        "SIGRTMIN+15",
        "SIGRTMIN+2",
        "SIGRTMIN+3",
        "SIGRTMIN+4",
        "SIGRTMIN+5",
        "SIGRTMIN+6",
        "SIGRTMIN+7",
        "SIGRTMIN+8",
        "SIGRTMIN+9",
        "SIGSEGV",
        "SIGSTKFLT",
        "SIGSTOP",
        "SIGSYS",
        "SIGTERM",
        "SIGTRAP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGUSR1",
        "SIGUSR2",
        "SIGVTALRM",
        "SIGWINCH",
        "SIGXCPU",
        "SIGXFSZ",
    ]
    user: ContainerUser
    volumeMounts: list[VolumeMountStatus]

class ContainerUser(TypedDict, total=False):
    linux: LinuxContainerUser

class ControllerRevision(TypedDict, total=False):
    apiVersion: Required[Literal["apps/v1"]]
    kind: Required[Literal["ControllerRevision"]]
    data: dict[str, Any]
    metadata: ObjectMeta
    revision: int

class CoreEndpointPort(TypedDict, total=False):
    appProtocol: str
    name: str
    port: int
    protocol: Literal["SCTP", "TCP", "UDP"]

class CoreEvent(TypedDict, total=False):
    apiVersion: Required[Literal["v1"]]
    kind: Required[Literal["Event"]]
    action: str
    count: int
    eventTime: str
    firstTimestamp: str
    involvedObject: ObjectReference
    lastTimestamp: str
    message: str
    metadata: ObjectMeta
    reason: str
    related: ObjectReference
    reportingComponent: str
    reportingInstance: str
    series: CoreEventSeries
    source: EventSource
    type: str

class CoreEventSeries(TypedDict, total=False):
    count: int
    lastObservedTime: str

class CustomResourceColumnDefinition(TypedDict, total=False):
    description: str
    format: str
    jsonPath: str
    name: str
    priority: int
    type: str

class CustomResourceConversion(TypedDict, total=False):
    strategy: str
    webhook: WebhookConversion

class CustomResourceDefinition(TypedDict, total=False):
    apiVersion: Required[Literal["apiextensions.k8s.io/v1"]]
    kind: Required[Literal["CustomResourceDefinition"]]
    metadata: ObjectMeta
    spec: CustomResourceDefinitionSpec
    status: CustomResourceDefinitionStatus

class CustomResourceDefinitionCondition(TypedDict, total=False):
    lastTransitionTime: str
    message: str
    observedGeneration: int
    reason: str
    status: str
    type: str

class CustomResourceDefinitionNames(TypedDict, total=False):
    categories: list[str]
    kind: str
    listKind: str
    plural: str
    shortNames: list[str]
    singular: str

class CustomResourceDefinitionSpec(TypedDict, total=False):
    conversion: CustomResourceConversion
    group: str
    names: CustomResourceDefinitionNames
    preserveUnknownFields: bool
    scope: str
    versions: list[CustomResourceDefinitionVersion]

class CustomResourceDefinitionStatus(TypedDict, total=False):
    acceptedNames: CustomResourceDefinitionNames
    conditions: list[CustomResourceDefinitionCondition]
    observedGeneration: int
    storedVersions: list[str]

class CustomResourceDefinitionVersion(TypedDict, total=False):
    additionalPrinterColumns: list[CustomResourceColumnDefinition]
    deprecated: bool
    deprecationWarning: str
    name: str
    schema: CustomResourceValidation
    selectableFields: list[SelectableField]
    served: bool
    storage: bool
    subresources: CustomResourceSubresources

class CustomResourceSubresourceScale(TypedDict, total=False):
    labelSelectorPath: str
    specReplicasPath: str
    statusReplicasPath: str

class CustomResourceSubresources(TypedDict, total=False):
    scale: CustomResourceSubresourceScale
    status: dict[str, Any]

class CustomResourceValidation(TypedDict, total=False):
    openAPIV3Schema: JSONSchemaProps

class DaemonEndpoint(TypedDict, total=False):
    Port: int

class DaemonSet(TypedDict, total=False):
    apiVersion: Required[Literal["apps/v1"]]
    kind: Required[Literal["DaemonSet"]]
    metadata: ObjectMeta
    spec: DaemonSetSpec
    status: DaemonSetStatus

class DaemonSetCondition(TypedDict, total=False):
    lastTransitionTime: str
    message: str
    reason: str
    status: str
    type: str

class DaemonSetSpec(TypedDict, total=False):
    minReadySeconds: int
    revisionHistoryLimit: int
    selector: LabelSelector
    template: PodTemplateSpec
    updateStrategy: DaemonSetUpdateStrategy

class DaemonSetStatus(TypedDict, total=False):
    collisionCount: int
    conditions: list[DaemonSetCondition]
    currentNumberScheduled: int
    desiredNumberScheduled: int
    numberAvailable: int
    numberMisscheduled: int
    numberReady: int
    numberUnavailable: int
    observedGeneration: int
    updatedNumberScheduled: int

class DaemonSetUpdateStrategy(TypedDict, total=False):
    rollingUpdate: RollingUpdateDaemonSet
    type: Literal["OnDelete", "RollingUpdate"]

class Deployment(TypedDict, total=False):
    apiVersion: Required[Literal["apps/v1"]]
    kind: Required[Literal["Deployment"]]
    metadata: ObjectMeta
    spec: DeploymentSpec
    status: DeploymentStatus

class DeploymentCondition(TypedDict, total=False):
    lastTransitionTime: str
    lastUpdateTime: str
    message: str
    reason: str
    status: str
    type: str

class DeploymentSpec(TypedDict, total=False):
    minReadySeconds: int
    paused: bool
    progressDeadlineSeconds: int
    replicas: int
    revisionHistoryLimit: int
    selector: LabelSelector
    strategy: DeploymentStrategy
    template: PodTemplateSpec

class DeploymentStatus(TypedDict, total=False):
    availableReplicas: int
    collisionCount: int
    conditions: list[DeploymentCondition]
    observedGeneration: int
    readyReplicas: int
    replicas: int
    terminatingReplicas: int
    unavailableReplicas: int
    updatedReplicas: int

class DeploymentStrategy(TypedDict, total=False):
    rollingUpdate: RollingUpdateDeployment
    type: Literal["Recreate", "RollingUpdate"]

class DownwardAPIProjection(TypedDict, total=False):
    items: list[DownwardAPIVolumeFile]

class DownwardAPIVolumeFile(TypedDict, total=False):
    fieldRef: ObjectFieldSelector
    mode: int
    path: str
    resourceFieldRef: ResourceFieldSelector
    user: int

class DownwardAPIVolumeSource(TypedDict, total=False):
    defaultMode: int
    defaultUser: int
    items: list[DownwardAPIVolumeFile]

class EmptyDirVolumeSource(TypedDict, total=False):
    medium: str
    mode: int
    sizeLimit: str | int | float

class Endpoint(TypedDict, total=False):
    addresses: list[str]
    conditions: EndpointConditions
    deprecatedTopology: dict[str, str]
    hints: EndpointHints
    hostname: str
    nodeName: str
    targetRef: ObjectReference
    zone: str

class EndpointAddress(TypedDict, total=False):
    hostname: str
    ip: str
    nodeName: str
    targetRef: ObjectReference

class EndpointConditions(TypedDict, total=False):
    ready: bool
    serving: bool
    terminating: bool

class EndpointHints(TypedDict, total=False):
    forNodes: list[ForNode]
    forZones: list[ForZone]

class EndpointPort(TypedDict, total=False):
    appProtocol: str
    name: str
    port: int
    protocol: Literal["SCTP", "TCP", "UDP"]

class EndpointSlice(TypedDict, total=False):
    apiVersion: Required[Literal["discovery.k8s.io/v1"]]
    kind: Required[Literal["EndpointSlice"]]
    addressType: Literal["FQDN", "IPv4", "IPv6"]
    endpoints: list[Endpoint]
    metadata: ObjectMeta
    ports: list[EndpointPort]

class EndpointSubset(TypedDict, total=False):
    addresses: list[EndpointAddress]
    notReadyAddresses: list[EndpointAddress]
    ports: list[CoreEndpointPort]

class Endpoints(TypedDict, total=False):
    apiVersion: Required[Literal["v1"]]
    kind: Required[Literal["Endpoints"]]
    metadata: ObjectMeta
    subsets: list[EndpointSubset]

class EnvFromSource(TypedDict, total=False):
    configMapRef: ConfigMapEnvSource
    prefix: str
    secretRef: SecretEnvSource

class EnvVar(TypedDict, total=False):
    name: str
    value: str
    valueFrom: EnvVarSource

class EnvVarSource(TypedDict, total=False):
    configMapKeyRef: ConfigMapKeySelector
    fieldRef: ObjectFieldSelector
    fileKeyRef: FileKeySelector
    resourceFieldRef: ResourceFieldSelector
    secretKeyRef: SecretKeySelector

class EphemeralContainer(TypedDict, total=False):
    args: list[str]
    command: list[str]
    env: list[EnvVar]
    envFrom: list[EnvFromSource]
    image: str
    imagePullPolicy: Literal["Always", "IfNotPresent", "Never"]
    lifecycle: Lifecycle
    livenessProbe: Probe
    name: str
    ports: list[ContainerPort]
    readinessProbe: Probe
    resizePolicy: list[ContainerResizePolicy]
    resources: ResourceRequirements
    restartPolicy: str
    restartPolicyRules: list[ContainerRestartRule]
    securityContext: SecurityContext
    startupProbe: Probe
    stdin: bool
    stdinOnce: bool
    targetContainerName: str
    terminationMessagePath: str
    terminationMessagePolicy: Literal["FallbackToLogsOnError", "File"]
    tty: bool
    volumeDevices: list[VolumeDevice]
    volumeMounts: list[VolumeMount]
    workingDir: str

class EphemeralVolumeSource(TypedDict, total=False):
    volumeClaimTemplate: PersistentVolumeClaimTemplate

class Event(TypedDict, total=False):
    apiVersion: Required[Literal["events.k8s.io/v1"]]
    kind: Required[Literal["Event"]]
    action: str
    deprecatedCount: int
    deprecatedFirstTimestamp: str
    deprecatedLastTimestamp: str
    deprecatedSource: EventSource
    eventTime: str
    metadata: ObjectMeta
    note: str
    reason: str
    regarding: ObjectReference
    related: ObjectReference
    reportingController: str
    reportingInstance: str
    series: EventSeries
    type: str

class EventSeries(TypedDict, total=False):
    count: int
    lastObservedTime: str

class EventSource(TypedDict, total=False):
    component: str
    host: str

class EvictionResponder(TypedDict, total=False):
    name: str
    priority: int

class ExecAction(TypedDict, total=False):
    command: list[str]

class ExternalDocumentation(TypedDict, total=False):
    description: str
    url: str

class FCVolumeSource(TypedDict, total=False):
    fsType: str
    lun: int
    readOnly: bool
    targetWWNs: list[str]
    wwids: list[str]

class FileKeySelector(TypedDict, total=False):
    key: str
    optional: bool
    path: str
    volumeName: str

class FlexPersistentVolumeSource(TypedDict, total=False):
    driver: str
    fsType: str
    options: dict[str, str]
    readOnly: bool
    secretRef: SecretReference

class FlexVolumeSource(TypedDict, total=False):
    driver: str
    fsType: str
    options: dict[str, str]
    readOnly: bool
    secretRef: LocalObjectReference

class FlockerVolumeSource(TypedDict, total=False):
    datasetName: str
    datasetUUID: str

class ForNode(TypedDict, total=False):
    name: str

class ForZone(TypedDict, total=False):
    name: str

class GCEPersistentDiskVolumeSource(TypedDict, total=False):
    fsType: str
    partition: int
    pdName: str
    readOnly: bool

class GRPCAction(TypedDict, total=False):
    mode: Literal["Plaintext", "TLS"]
    port: int
    service: str

class GitRepoVolumeSource(TypedDict, total=False):
    directory: str
    repository: str
    revision: str

class GlusterfsPersistentVolumeSource(TypedDict, total=False):
    endpoints: str
    endpointsNamespace: str
    path: str
    readOnly: bool

class GlusterfsVolumeSource(TypedDict, total=False):
    endpoints: str
    path: str
    readOnly: bool

class HTTPGetAction(TypedDict, total=False):
    host: str
    httpHeaders: list[HTTPHeader]
    path: str
    port: int | str
    protocol: Literal["HTTP1", "HTTP2"]
    scheme: Literal["HTTP", "HTTPS"]

class HTTPHeader(TypedDict, total=False):
    name: str
    value: str

class HostAlias(TypedDict, total=False):
    hostnames: list[str]
    ip: str

class HostIP(TypedDict, total=False):
    ip: str

class HostPathVolumeSource(TypedDict, total=False):
    path: str
    type: Literal["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"]

class ISCSIPersistentVolumeSource(TypedDict, total=False):
    chapAuthDiscovery: bool
    chapAuthSession: bool
    fsType: str
    initiatorName: str
    iqn: str
    iscsiInterface: str
    lun: int
    portals: list[str]
    readOnly: bool
    secretRef: SecretReference
    targetPortal: str

class ISCSIVolumeSource(TypedDict, total=False):
    chapAuthDiscovery: bool
    chapAuthSession: bool
    fsType: str
    initiatorName: str
    iqn: str
    iscsiInterface: str
    lun: int
    portals: list[str]
    readOnly: bool
    secretRef: LocalObjectReference
    targetPortal: str

class ImageVolumeSource(TypedDict, total=False):
    pullPolicy: Literal["Always", "IfNotPresent", "Never"]
    reference: str

class ImageVolumeStatus(TypedDict, total=False):
    imageRef: str

JSONSchemaProps = TypedDict(
    "JSONSchemaProps",
    {
        "$ref": str,
        "$schema": str,
        "additionalItems": Any,
        "additionalProperties": Any,
        "allOf": list[JSONSchemaProps],
        "anyOf": list[JSONSchemaProps],
        "default": Any,
        "definitions": dict[str, JSONSchemaProps],
        "dependencies": dict[str, Any],
        "description": str,
        "enum": list[Any],
        "example": Any,
        "exclusiveMaximum": bool,
        "exclusiveMinimum": bool,
        "externalDocs": ExternalDocumentation,
        "format": str,
        "id": str,
        "items": Any,
        "maxItems": int,
        "maxLength": int,
        "maxProperties": int,
        "maximum": float,
        "minItems": int,
        "minLength": int,
        "minProperties": int,
        "minimum": float,
        "multipleOf": float,
        "not": JSONSchemaProps,
        "nullable": bool,
        "oneOf": list[JSONSchemaProps],
        "pattern": str,
        "patternProperties": dict[str, JSONSchemaProps],
        "properties": dict[str, JSONSchemaProps],
        "required": list[str],
        "title": str,
        "type": str,
        "uniqueItems": bool,
        "x-kubernetes-embedded-resource": bool,
        "x-kubernetes-int-or-string": bool,
        "x-kubernetes-list-map-keys": list[str],
        "x-kubernetes-list-type": str,
        "x-kubernetes-map-type": str,
        "x-kubernetes-preserve-unknown-fields": bool,
        "x-kubernetes-validations": list[ValidationRule],
    },
    total=False,
)

class Job(TypedDict, total=False):
    apiVersion: Required[Literal["batch/v1"]]
    kind: Required[Literal["Job"]]
    metadata: ObjectMeta
    spec: JobSpec
    status: JobStatus

class JobCondition(TypedDict, total=False):
    lastProbeTime: str
    lastTransitionTime: str
    message: str
    reason: str
    status: str
    type: str

class JobSchedulingConfiguration(TypedDict, total=False):
    disruptionMode: WorkloadPodGroupDisruptionMode
    resourceClaims: list[WorkloadPodGroupResourceClaim]
    schedulingConstraints: WorkloadPodGroupSchedulingConstraints
    schedulingPolicy: WorkloadPodGroupSchedulingPolicy

class JobSpec(TypedDict, total=False):
    activeDeadlineSeconds: int
    backoffLimit: int
    backoffLimitPerIndex: int
    completionMode: Literal["Indexed", "NonIndexed"]
    completions: int
    managedBy: str
    manualSelector: bool
    maxFailedIndexes: int
    parallelism: int
    podFailurePolicy: PodFailurePolicy
    podReplacementPolicy: Literal["Failed", "TerminatingOrFailed"]
    scheduling: JobSchedulingConfiguration
    selector: LabelSelector
    successPolicy: SuccessPolicy
    suspend: bool
    template: PodTemplateSpec
    ttlSecondsAfterFinished: int

class JobStatus(TypedDict, total=False):
    active: int
    completedIndexes: str
    completionTime: str
    conditions: list[JobCondition]
    failed: int
    failedIndexes: str
    ready: int
    startTime: str
    succeeded: int
    terminating: int
    uncountedTerminatedPods: UncountedTerminatedPods

class KeyToPath(TypedDict, total=False):
    key: str
    mode: int
    path: str
    user: int

class LabelSelector(TypedDict, total=False):
    matchExpressions: list[LabelSelectorRequirement]
    matchLabels: dict[str, str]

class LabelSelectorRequirement(TypedDict, total=False):
    key: str
    operator: str
    values: list[str]

class Lease(TypedDict, total=False):
    apiVersion: Required[Literal["coordination.k8s.io/v1"]]
    kind: Required[Literal["Lease"]]
    metadata: ObjectMeta
    spec: LeaseSpec

class LeaseSpec(TypedDict, total=False):
    acquireTime: str
    holderIdentity: str
    leaseDurationSeconds: int
    leaseTransitions: int
    preferredHolder: str
    renewTime: str
    strategy: str

class Lifecycle(TypedDict, total=False):
    postStart: LifecycleHandler
    preStop: LifecycleHandler
    stopSignal: Literal[
        "SIGABRT",
        "SIGALRM",
        "SIGBUS",
        "SIGCHLD",
        "SIGCLD",
        "SIGCONT",
        "SIGFPE",
        "SIGHUP",
        "SIGILL",
        "SIGINT",
        "SIGIO",
        "SIGIOT",
        "SIGKILL",
        "SIGPIPE",
        "SIGPOLL",
        "SIGPROF",
        "SIGPWR",
        "SIGQUIT",
        "SIGRTMAX",
        "SIGRTMAX-1",
        "SIGRTMAX-10",
        "SIGRTMAX-11",
        "SIGRTMAX-12",
        "SIGRTMAX-13",
        "SIGRTMAX-14",
        "SIGRTMAX-2",
        "SIGRTMAX-3",
        "SIGRTMAX-4",
        "SIGRTMAX-5",
        "SIGRTMAX-6",
        "SIGRTMAX-7",
        "SIGRTMAX-8",
        "SIGRTMAX-9",
        "SIGRTMIN",
        "SIGRTMIN+1",
        "SIGRTMIN+10",
        "SIGRTMIN+11",
        "SIGRTMIN+12",
        "SIGRTMIN+13",
        "SIGRTMIN+14",
        "SIGRTMIN+15",
        "SIGRTMIN+2",
        "SIGRTMIN+3",
        "SIGRTMIN+4",
        "SIGRTMIN+5",
        "SIGRTMIN+6",
        "SIGRTMIN+7",
        "SIGRTMIN+8",
        "SIGRTMIN+9",
        "SIGSEGV",
        "SIGSTKFLT",
        "SIGSTOP",
        "SIGSYS",
        "SIGTERM",
        "SIGTRAP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGUSR1",
        "SIGUSR2",
        "SIGVTALRM",
        "SIGWINCH",
        "SIGXCPU",
        "SIGXFSZ",
    ]

class LifecycleHandler(TypedDict, total=False):
    exec: ExecAction
    httpGet: HTTPGetAction
    sleep: SleepAction
    tcpSocket: TCPSocketAction

class LinuxContainerUser(TypedDict, total=False):
    gid: int
    supplementalGroups: list[int]
    uid: int

class LoadBalancerIngress(TypedDict, total=False):
    hostname: str
    ip: str
    ipMode: str
    ports: list[PortStatus]

class LoadBalancerStatus(TypedDict, total=False):
    ingress: list[LoadBalancerIngress]

class LocalObjectReference(TypedDict, total=False):
    name: str

class LocalVolumeSource(TypedDict, total=False):
    fsType: str
    path: str

class ManagedFieldsEntry(TypedDict, total=False):
    apiVersion: str
    fieldsType: str
    fieldsV1: dict[str, Any]
    manager: str
    operation: str
    subresource: str
    time: str

class ModifyVolumeStatus(TypedDict, total=False):
    status: Literal["InProgress", "Infeasible", "Pending"]
    targetVolumeAttributesClassName: str

class NFSVolumeSource(TypedDict, total=False):
    path: str
    readOnly: bool
    server: str

class Namespace(TypedDict, total=False):
    apiVersion: Required[Literal["v1"]]
    kind: Required[Literal["Namespace"]]
    metadata: ObjectMeta
    spec: NamespaceSpec
    status: NamespaceStatus

class NamespaceCondition(TypedDict, total=False):
    lastTransitionTime: str
    message: str
    reason: str
    status: str
    type: str

class NamespaceSpec(TypedDict, total=False):
    finalizers: list[str]

class NamespaceStatus(TypedDict, total=False):
    conditions: list[NamespaceCondition]
    phase: Literal["Active", "Terminating"]

class Node(TypedDict, total=False):
    apiVersion: Required[Literal["v1"]]
    kind: Required[Literal["Node"]]
    metadata: ObjectMeta
    spec: NodeSpec
    status: NodeStatus

class NodeAddress(TypedDict, total=False):
    address: str
    type: str

class NodeAffinity(TypedDict, total=False):
    preferredDuringSchedulingIgnoredDuringExecution: list[PreferredSchedulingTerm]
    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector

class NodeAllocatableMappedResources(TypedDict, total=False):
    name: str
    quantity: str | int | float

class NodeAllocatableOverheadResources(TypedDict, total=False):
    name: str
    perContainer: str | int | float
    perPod: str | int | float

class NodeAllocatableResourceClaimStatus(TypedDict, total=False):
    containers: list[str]
    mapping: list[NodeAllocatableMappedResources]
    overhead: list[NodeAllocatableOverheadResources]
    resourceClaimName: str

class NodeCondition(TypedDict, total=False):
    lastHeartbeatTime: str
    lastTransitionTime: str
    message: str
    reason: str
    status: str
    type: str

class NodeConfigSource(TypedDict, total=False):
    configMap: ConfigMapNodeConfigSource

class NodeConfigStatus(TypedDict, total=False):
    active: NodeConfigSource
    assigned: NodeConfigSource
    error: str
    lastKnownGood: NodeConfigSource

class NodeDaemonEndpoints(TypedDict, total=False):
    kubeletEndpoint: DaemonEndpoint

class NodeFeatures(TypedDict, total=False):
    supplementalGroupsPolicy: bool

class NodePodPreemptionPolicy(TypedDict, total=False):
    disableResizePreemption: list[str]

class NodeRuntimeHandler(TypedDict, total=False):
    features: NodeRuntimeHandlerFeatures
    name: str

class NodeRuntimeHandlerFeatures(TypedDict, total=False):
    recursiveReadOnlyMounts: bool
    userNamespaces: bool

class NodeSelector(TypedDict, total=False):
    nodeSelectorTerms: list[NodeSelectorTerm]

class NodeSelectorRequirement(TypedDict, total=False):
    key: str
    operator: Literal["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"]
    values: list[str]

class NodeSelectorTerm(TypedDict, total=False):
    matchExpressions: list[NodeSelectorRequirement]
    matchFields: list[NodeSelectorRequirement]

class NodeSpec(TypedDict, total=False):
    configSource: NodeConfigSource
    externalID: str
    podCIDR: str
    podCIDRs: list[str]
    podPreemptionPolicy: NodePodPreemptionPolicy
    providerID: str
    taints: list[Taint]
    unschedulable: bool

class NodeStatus(TypedDict, total=False):
    addresses: list[NodeAddress]
    allocatable: dict[str, str | int | float]
    capacity: dict[str, str | int | float]
    conditions: list[NodeCondition]
    config: NodeConfigStatus
    daemonEndpoints: NodeDaemonEndpoints
    declaredFeatures: list[str]
    features: NodeFeatures
    images: list[ContainerImage]
    nodeInfo: NodeSystemInfo
    phase: Literal["Pending", "Running", "Terminated"]
    runtimeHandlers: list[NodeRuntimeHandler]
    volumesAttached: list[AttachedVolume]
    volumesInUse: list[str]

class NodeSwapStatus(TypedDict, total=False):
    capacity: int

class NodeSystemInfo(TypedDict, total=False):
    architecture: str
    bootID: str
    containerRuntimeVersion: str
    kernelVersion: str
    kubeProxyVersion: str
    kubeletVersion: str
    machineID: str
    operatingSystem: str
    osImage: str
    runningInUserNamespace: bool
    swap: NodeSwapStatus
    systemUUID: str

class ObjectFieldSelector(TypedDict, total=False):
    apiVersion: str
    fieldPath: str

class ObjectMeta(TypedDict, total=False):
    annotations: dict[str, str]
    creationTimestamp: str
    deletionGracePeriodSeconds: int
    deletionTimestamp: str
    finalizers: list[str]
    generateName: str
    generation: int
    labels: dict[str, str]
    managedFields: list[ManagedFieldsEntry]
    name: str
    namespace: str
    ownerReferences: list[OwnerReference]
    resourceVersion: str
    selfLink: str
    uid: str

class ObjectReference(TypedDict, total=False):
    apiVersion: str
    fieldPath: str
    kind: str
    name: str
    namespace: str
    resourceVersion: str
    uid: str

class OwnerReference(TypedDict, total=False):
    apiVersion: str
    blockOwnerDeletion: bool
    controller: bool
    kind: str
    name: str
    uid: str

class PersistentVolume(TypedDict, total=False):
    apiVersion: Required[Literal["v1"]]
    kind: Required[Literal["PersistentVolume"]]
    metadata: ObjectMeta
    spec: PersistentVolumeSpec
    status: PersistentVolumeStatus

class PersistentVolumeClaim(TypedDict, total=False):
    apiVersion: Required[Literal["v1"]]
    kind: Required[Literal["PersistentVolumeClaim"]]
    metadata: ObjectMeta
    spec: PersistentVolumeClaimSpec
    status: PersistentVolumeClaimStatus

class PersistentVolumeClaimCondition(TypedDict, total=False):
    lastProbeTime: str
    lastTransitionTime: str
    message: str
    reason: str
    status: str
    type: str

class PersistentVolumeClaimSpec(TypedDict, total=False):
    accessModes: list[Literal["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]]
    dataSource: TypedLocalObjectReference
    dataSourceRef: TypedObjectReference
    resources: VolumeResourceRequirements
    selector: LabelSelector
    storageClassName: str
    volumeAttributesClassName: str
    volumeMode: Literal["Block", "Filesystem"]
    volumeName: str

class PersistentVolumeClaimStatus(TypedDict, total=False):
    accessModes: list[Literal["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]]
    allocatedResourceStatuses: dict[
        str,
        Literal[
            "ControllerResizeInProgress",
            "ControllerResizeInfeasible",
            "NodeResizeInProgress",
            "NodeResizeInfeasible",
            "NodeResizePending",
        ],
    ]
    allocatedResources: dict[str, str | int | float]
    capacity: dict[str, str | int | float]
    conditions: list[PersistentVolumeClaimCondition]
    currentVolumeAttributesClassName: str
    healthStatus: VolumeHealthStatus
    modifyVolumeStatus: ModifyVolumeStatus
    phase: Literal["Bound", "Lost", "Pending"]

class PersistentVolumeClaimTemplate(TypedDict, total=False):
    metadata: ObjectMeta
    spec: PersistentVolumeClaimSpec

class PersistentVolumeClaimVolumeSource(TypedDict, total=False):
    claimName: str
    readOnly: bool

class PersistentVolumeSpec(TypedDict, total=False):
    accessModes: list[Literal["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]]
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource
    azureDisk: AzureDiskVolumeSource
    azureFile: AzureFilePersistentVolumeSource
    capacity: dict[str, str | int | float]
    cephfs: CephFSPersistentVolumeSource
    cinder: CinderPersistentVolumeSource
    claimRef: ObjectReference
    csi: CSIPersistentVolumeSource
    fc: FCVolumeSource
    flexVolume: FlexPersistentVolumeSource
    flocker: FlockerVolumeSource
    gcePersistentDisk: GCEPersistentDiskVolumeSource
    glusterfs: GlusterfsPersistentVolumeSource
    hostPath: HostPathVolumeSource
    iscsi: ISCSIPersistentVolumeSource
    local: LocalVolumeSource
    mountOptions: list[str]
    nfs: NFSVolumeSource
    nodeAffinity: VolumeNodeAffinity
    persistentVolumeReclaimPolicy: Literal["Delete", "Recycle", "Retain"]
    photonPersistentDisk: PhotonPersistentDiskVolumeSource
    portworxVolume: PortworxVolumeSource
    quobyte: QuobyteVolumeSource
    rbd: RBDPersistentVolumeSource
    scaleIO: ScaleIOPersistentVolumeSource
    storageClassName: str
    storageos: StorageOSPersistentVolumeSource
    volumeAttributesClassName: str
    volumeMode: Literal["Block", "Filesystem"]
    vsphereVolume: VsphereVirtualDiskVolumeSource

class PersistentVolumeStatus(TypedDict, total=False):
    lastPhaseTransitionTime: str
    message: str
    phase: Literal["Available", "Bound", "Failed", "Pending", "Released"]
    reason: str

class PhotonPersistentDiskVolumeSource(TypedDict, total=False):
    fsType: str
    pdID: str

class Pod(TypedDict, total=False):
    apiVersion: Required[Literal["v1"]]
    kind: Required[Literal["Pod"]]
    metadata: ObjectMeta
    spec: PodSpec
    status: PodStatus

class PodAffinity(TypedDict, total=False):
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm]
    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm]

class PodAffinityTerm(TypedDict, total=False):
    labelSelector: LabelSelector
    matchLabelKeys: list[str]
    mismatchLabelKeys: list[str]
    namespaceSelector: LabelSelector
    namespaces: list[str]
    topologyKey: str

class PodAntiAffinity(TypedDict, total=False):
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm]
    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm]

class PodCertificateProjection(TypedDict, total=False):
    certificateChainPath: str
    credentialBundlePath: str
    keyPath: str
    keyType: str
    maxExpirationSeconds: int
    signerName: str
    user: int
    userAnnotations: dict[str, str]

class PodCondition(TypedDict, total=False):
    lastProbeTime: str
    lastTransitionTime: str
    message: str
    observedGeneration: int
    reason: str
    status: str
    type: str

class PodDNSConfig(TypedDict, total=False):
    nameservers: list[str]
    options: list[PodDNSConfigOption]
    searches: list[str]

class PodDNSConfigOption(TypedDict, total=False):
    name: str
    value: str

class PodDisruptionBudget(TypedDict, total=False):
    apiVersion: Required[Literal["policy/v1"]]
    kind: Required[Literal["PodDisruptionBudget"]]
    metadata: ObjectMeta
    spec: PodDisruptionBudgetSpec
    status: PodDisruptionBudgetStatus

class PodDisruptionBudgetSpec(TypedDict, total=False):
    maxUnavailable: int | str
    minAvailable: int | str
    selector: LabelSelector
    unhealthyPodEvictionPolicy: Literal["AlwaysAllow", "IfHealthyBudget"]

class PodDisruptionBudgetStatus(TypedDict, total=False):
    conditions: list[Condition]
    currentHealthy: int
    desiredHealthy: int
    disruptedPods: dict[str, str]
    disruptionsAllowed: int
    expectedPods: int
    observedGeneration: int

class PodExtendedResourceClaimStatus(TypedDict, total=False):
    requestMappings: list[ContainerExtendedResourceRequest]
    resourceClaimName: str

class PodFailurePolicy(TypedDict, total=False):
    rules: list[PodFailurePolicyRule]

class PodFailurePolicyOnExitCodesRequirement(TypedDict, total=False):
    containerName: str
    operator: Literal["In", "NotIn"]
    values: list[int]

class PodFailurePolicyOnPodConditionsPattern(TypedDict, total=False):
    status: str
    type: str

class PodFailurePolicyRule(TypedDict, total=False):
    action: Literal["Count", "FailIndex", "FailJob", "Ignore"]
    onExitCodes: PodFailurePolicyOnExitCodesRequirement
    onPodConditions: list[PodFailurePolicyOnPodConditionsPattern]

class PodIP(TypedDict, total=False):
    ip: str

class PodOS(TypedDict, total=False):
    name: str

class PodReadinessGate(TypedDict, total=False):
    conditionType: str

class PodResourceClaim(TypedDict, total=False):
    name: str
    resourceClaimName: str
    resourceClaimTemplateName: str

class PodResourceClaimStatus(TypedDict, total=False):
    name: str
    resourceClaimName: str

class PodSchedulingGate(TypedDict, total=False):
    name: str

class PodSchedulingGroup(TypedDict, total=False):
    podGroupName: str

class PodSecurityContext(TypedDict, total=False):
    appArmorProfile: AppArmorProfile
    fsGroup: int
    fsGroupChangePolicy: Literal["Always", "OnRootMismatch"]
    runAsGroup: int
    runAsNonRoot: bool
    runAsUser: int
    seLinuxChangePolicy: str
    seLinuxOptions: SELinuxOptions
    seccompProfile: SeccompProfile
    supplementalGroups: list[int]
    supplementalGroupsPolicy: Literal["Merge", "Strict"]
    sysctls: list[Sysctl]
    windowsOptions: WindowsSecurityContextOptions

class PodSpec(TypedDict, total=False):
    activeDeadlineSeconds: int
    affinity: Affinity
    automountServiceAccountToken: bool
    containers: list[Container]
    dnsConfig: PodDNSConfig
    dnsPolicy: Literal["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]
    enableServiceLinks: bool
    ephemeralContainers: list[EphemeralContainer]
    evictionResponders: list[EvictionResponder]
    hostAliases: list[HostAlias]
    hostIPC: bool
    hostNetwork: bool
    hostPID: bool
    hostUsers: bool
    hostname: str
    hostnameOverride: str
    imagePullSecrets: list[LocalObjectReference]
    initContainers: list[Container]
    nodeName: str
    nodeSelector: dict[str, str]
    os: PodOS
    overhead: dict[str, str | int | float]
    preemptionPolicy: Literal["Never", "PreemptLowerPriority"]
    priority: int
    priorityClassName: str
    readinessGates: list[PodReadinessGate]
    resourceClaims: list[PodResourceClaim]
    resources: ResourceRequirements
    restartPolicy: Literal["Always", "Never", "OnFailure"]
    runtimeClassName: str
    schedulerName: str
    schedulingGates: list[PodSchedulingGate]
    schedulingGroup: PodSchedulingGroup
    securityContext: PodSecurityContext
    serviceAccount: str
    serviceAccountName: str
    setHostnameAsFQDN: bool
    shareProcessNamespace: bool
    subdomain: str
    terminationGracePeriodSeconds: int
    tolerations: list[Toleration]
    topologySpreadConstraints: list[TopologySpreadConstraint]
    volumes: list[Volume]

class PodStatus(TypedDict, total=False):
    allocatedResources: dict[str, str | int | float]
    conditions: list[PodCondition]
    containerStatuses: list[ContainerStatus]
    ephemeralContainerStatuses: list[ContainerStatus]
    extendedResourceClaimStatus: PodExtendedResourceClaimStatus
    hostIP: str
    hostIPs: list[HostIP]
    initContainerStatuses: list[ContainerStatus]
    message: str
    nodeAllocatableResourceClaimStatuses: list[NodeAllocatableResourceClaimStatus]
    nominatedNodeName: str
    observedGeneration: int
    phase: Literal["Failed", "Pending", "Running", "Succeeded", "Unknown"]
    podIP: str
    podIPs: list[PodIP]
    qosClass: Literal["BestEffort", "Burstable", "Guaranteed"]
    reason: str
    resize: str
    resourceClaimStatuses: list[PodResourceClaimStatus]
    resources: ResourceRequirements
    startTime: str
    volumeHealth: list[PodVolumeHealth]

class PodTemplateSpec(TypedDict, total=False):
    metadata: ObjectMeta
    spec: PodSpec

class PodVolumeHealth(TypedDict, total=False):
    healthConditions: list[VolumeHealthCondition]
    lastTransitionTime: str
    name: str

class PolicyRule(TypedDict, total=False):
    apiGroups: list[str]
    nonResourceURLs: list[str]
    resourceNames: list[str]
    resources: list[str]
    verbs: list[str]

class PortStatus(TypedDict, total=False):
    error: str
    port: int
    protocol: Literal["SCTP", "TCP", "UDP"]

class PortworxVolumeSource(TypedDict, total=False):
    fsType: str
    readOnly: bool
    volumeID: str

class PreferredSchedulingTerm(TypedDict, total=False):
    preference: NodeSelectorTerm
    weight: int

class Probe(TypedDict, total=False):
    exec: ExecAction
    failureThreshold: int
    grpc: GRPCAction
    httpGet: HTTPGetAction
    initialDelaySeconds: int
    periodSeconds: int
    successThreshold: int
    tcpSocket: TCPSocketAction
    terminationGracePeriodSeconds: int
    timeoutSeconds: int

class ProjectedVolumeSource(TypedDict, total=False):
    defaultMode: int
    defaultUser: int
    sources: list[VolumeProjection]

class QuobyteVolumeSource(TypedDict, total=False):
    group: str
    readOnly: bool
    registry: str
    tenant: str
    user: str
    volume: str

class RBDPersistentVolumeSource(TypedDict, total=False):
    fsType: str
    image: str
    keyring: str
    monitors: list[str]
    pool: str
    readOnly: bool
    secretRef: SecretReference
    user: str

class RBDVolumeSource(TypedDict, total=False):
    fsType: str
    image: str
    keyring: str
    monitors: list[str]
    pool: str
    readOnly: bool
    secretRef: LocalObjectReference
    user: str

class ReplicaSet(TypedDict, total=False):
    apiVersion: Required[Literal["apps/v1"]]
    kind: Required[Literal["ReplicaSet"]]
    metadata: ObjectMeta
    spec: ReplicaSetSpec
    status: ReplicaSetStatus

class ReplicaSetCondition(TypedDict, total=False):
    lastTransitionTime: str
    message: str
    reason: str
    status: str
    type: str

class ReplicaSetSpec(TypedDict, total=False):
    minReadySeconds: int
    replicas: int
    selector: LabelSelector
    template: PodTemplateSpec

class ReplicaSetStatus(TypedDict, total=False):
    availableReplicas: int
    conditions: list[ReplicaSetCondition]
    fullyLabeledReplicas: int
    observedGeneration: int
    readyReplicas: int
    replicas: int
    terminatingReplicas: int

class ResourceClaim(TypedDict, total=False):
    name: str
    request: str

class ResourceFieldSelector(TypedDict, total=False):
    containerName: str
    divisor: str | int | float
    resource: str

class ResourceHealth(TypedDict, total=False):
    health: str
    message: str
    resourceID: str

class ResourceRequirements(TypedDict, total=False):
    claims: list[ResourceClaim]
    limits: dict[str, str | int | float]
    requests: dict[str, str | int | float]

class ResourceStatus(TypedDict, total=False):
    name: str
    resources: list[ResourceHealth]

class Role(TypedDict, total=False):
    apiVersion: Required[Literal["rbac.authorization.k8s.io/v1"]]
    kind: Required[Literal["Role"]]
    metadata: ObjectMeta
    rules: list[PolicyRule]

class RoleBinding(TypedDict, total=False):
    apiVersion: Required[Literal["rbac.authorization.k8s.io/v1"]]
    kind: Required[Literal["RoleBinding"]]
    metadata: ObjectMeta
    roleRef: RoleRef
    subjects: list[Subject]

class RoleRef(TypedDict, total=False):
    apiGroup: str
    kind: str
    name: str

class RollingUpdateDaemonSet(TypedDict, total=False):
    maxSurge: int | str
    maxUnavailable: int | str

class RollingUpdateDeployment(TypedDict, total=False):
    maxSurge: int | str
    maxUnavailable: int | str

class RollingUpdateStatefulSetStrategy(TypedDict, total=False):
    maxUnavailable: int | str
    partition: int

class SELinuxOptions(TypedDict, total=False):
    level: str
    role: str
    type: str
    user: str

class ScaleIOPersistentVolumeSource(TypedDict, total=False):
    fsType: str
    gateway: str
    protectionDomain: str
    readOnly: bool
    secretRef: SecretReference
    sslEnabled: bool
    storageMode: str
    storagePool: str
    system: str
    volumeName: str

class ScaleIOVolumeSource(TypedDict, total=False):
    fsType: str
    gateway: str
    protectionDomain: str
    readOnly: bool
    secretRef: LocalObjectReference
    sslEnabled: bool
    storageMode: str
    storagePool: str
    system: str
    volumeName: str

class SeccompProfile(TypedDict, total=False):
    localhostProfile: str
    type: Literal["Localhost", "RuntimeDefault", "Unconfined"]

class Secret(TypedDict, total=False):
    apiVersion: Required[Literal["v1"]]
    kind: Required[Literal["Secret"]]
    data: dict[str, str]
    immutable: bool
    metadata: ObjectMeta
    stringData: dict[str, str]
    type: str

class SecretEnvSource(TypedDict, total=False):
    name: str
    optional: bool

class SecretKeySelector(TypedDict, total=False):
    key: str
    name: str
    optional: bool

class SecretProjection(TypedDict, total=False):
    items: list[KeyToPath]
    name: str
    optional: bool

class SecretReference(TypedDict, total=False):
    name: str
    namespace: str

class SecretVolumeSource(TypedDict, total=False):
    defaultMode: int
    defaultUser: int
    items: list[KeyToPath]
    optional: bool
    secretName: str

class SecurityContext(TypedDict, total=False):
    allowPrivilegeEscalation: bool
    appArmorProfile: AppArmorProfile
    capabilities: Capabilities
    privileged: bool
    procMount: Literal["Default", "Unmasked"]
    readOnlyRootFilesystem: bool
    runAsGroup: int
    runAsNonRoot: bool
    runAsUser: int
    seLinuxOptions: SELinuxOptions
    seccompProfile: SeccompProfile
    windowsOptions: WindowsSecurityContextOptions

class SelectableField(TypedDict, total=False):
    jsonPath: str

class Service(TypedDict, total=False):
    apiVersion: Required[Literal["v1"]]
    kind: Required[Literal["Service"]]
    metadata: ObjectMeta
    spec: ServiceSpec
    status: ServiceStatus

class ServiceAccount(TypedDict, total=False):
    apiVersion: Required[Literal["v1"]]
    kind: Required[Literal["ServiceAccount"]]
    automountServiceAccountToken: bool
    imagePullSecrets: list[LocalObjectReference]
    metadata: ObjectMeta
    secrets: list[ObjectReference]

class ServiceAccountTokenProjection(TypedDict, total=False):
    audience: str
    expirationSeconds: int
    path: str
    user: int

class ServicePort(TypedDict, total=False):
    appProtocol: str
    name: str
    nodePort: int
    port: int
    protocol: Literal["SCTP", "TCP", "UDP"]
    targetPort: int | str

class ServiceReference(TypedDict, total=False):
    name: str
    namespace: str
    path: str
    port: int

class ServiceSpec(TypedDict, total=False):
    allocateLoadBalancerNodePorts: bool
    clusterIP: str
    clusterIPs: list[str]
    externalIPs: list[str]
    externalName: str
    externalTrafficPolicy: Literal["Cluster", "Local"]
    healthCheckNodePort: int
    internalTrafficPolicy: Literal["Cluster", "Local"]
    ipFamilies: list[Literal["", "IPv4", "IPv6"]]
    ipFamilyPolicy: Literal["PreferDualStack", "RequireDualStack", "SingleStack"]
    loadBalancerClass: str
    loadBalancerIP: str
    loadBalancerSourceRanges: list[str]
    ports: list[ServicePort]
    publishNotReadyAddresses: bool
    selector: dict[str, str]
    sessionAffinity: Literal["ClientIP", "None"]
    sessionAffinityConfig: SessionAffinityConfig
    trafficDistribution: str
    type: Literal["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]

class ServiceStatus(TypedDict, total=False):
    conditions: list[Condition]
    loadBalancer: LoadBalancerStatus

class SessionAffinityConfig(TypedDict, total=False):
    clientIP: ClientIPConfig

class SleepAction(TypedDict, total=False):
    seconds: int

class StatefulSet(TypedDict, total=False):
    apiVersion: Required[Literal["apps/v1"]]
    kind: Required[Literal["StatefulSet"]]
    metadata: ObjectMeta
    spec: StatefulSetSpec
    status: StatefulSetStatus

class StatefulSetCondition(TypedDict, total=False):
    lastTransitionTime: str
    message: str
    reason: str
    status: str
    type: str

class StatefulSetOrdinals(TypedDict, total=False):
    start: int

class StatefulSetPersistentVolumeClaimRetentionPolicy(TypedDict, total=False):
    whenDeleted: str
    whenScaled: str

class StatefulSetSpec(TypedDict, total=False):
    minReadySeconds: int
    ordinals: StatefulSetOrdinals
    persistentVolumeClaimRetentionPolicy: StatefulSetPersistentVolumeClaimRetentionPolicy
    podManagementPolicy: Literal["OrderedReady", "Parallel"]
    replicas: int
    revisionHistoryLimit: int
    selector: LabelSelector
    serviceName: str
    template: PodTemplateSpec
    updateStrategy: StatefulSetUpdateStrategy
    volumeClaimTemplates: list[PersistentVolumeClaim]

class StatefulSetStatus(TypedDict, total=False):
    availableReplicas: int
    collisionCount: int
    conditions: list[StatefulSetCondition]
    currentReplicas: int
    currentRevision: str
    observedGeneration: int
    readyReplicas: int
    replicas: int
    updateRevision: str
    updatedReplicas: int

class StatefulSetUpdateStrategy(TypedDict, total=False):
    rollingUpdate: RollingUpdateStatefulSetStrategy
    type: Literal["OnDelete", "Recreate", "RollingUpdate"]

class StorageClass(TypedDict, total=False):
    apiVersion: Required[Literal["storage.k8s.io/v1"]]
    kind: Required[Literal["StorageClass"]]
    allowVolumeExpansion: bool
    allowedTopologies: list[TopologySelectorTerm]
    metadata: ObjectMeta
    mountOptions: list[str]
    parameters: dict[str, str]
    provisioner: str
    reclaimPolicy: Literal["Delete", "Recycle", "Retain"]
    volumeBindingMode: Literal["Immediate", "WaitForFirstConsumer"]

class StorageOSPersistentVolumeSource(TypedDict, total=False):
    fsType: str
    readOnly: bool
    secretRef: ObjectReference
    volumeName: str
    volumeNamespace: str

class StorageOSVolumeSource(TypedDict, total=False):
    fsType: str
    readOnly: bool
    secretRef: LocalObjectReference
    volumeName: str
    volumeNamespace: str

class Subject(TypedDict, total=False):
    apiGroup: str
    kind: str
    name: str
    namespace: str

class SuccessPolicy(TypedDict, total=False):
    rules: list[SuccessPolicyRule]

class SuccessPolicyRule(TypedDict, total=False):
    succeededCount: int
    succeededIndexes: str

class Sysctl(TypedDict, total=False):
    name: str
    value: str

class TCPSocketAction(TypedDict, total=False):
    host: str
    port: int | str

class Taint(TypedDict, total=False):
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"]
    key: str
    timeAdded: str
    value: str

class Toleration(TypedDict, total=False):
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"]
    key: str
    operator: Literal["Equal", "Exists", "Gt", "Lt"]
    tolerationSeconds: int
    value: str

class TopologyConstraint(TypedDict, total=False):
    key: str

class TopologySelectorLabelRequirement(TypedDict, total=False):
    key: str
    values: list[str]

class TopologySelectorTerm(TypedDict, total=False):
    matchLabelExpressions: list[TopologySelectorLabelRequirement]

class TopologySpreadConstraint(TypedDict, total=False):
    labelSelector: LabelSelector
    matchLabelKeys: list[str]
    maxSkew: int
    minDomains: int
    nodeAffinityPolicy: Literal["Honor", "Ignore"]
    nodeTaintsPolicy: Literal["Honor", "Ignore"]
    topologyKey: str
    whenUnsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]

class TypedLocalObjectReference(TypedDict, total=False):
    apiGroup: str
    kind: str
    name: str

class TypedObjectReference(TypedDict, total=False):
    apiGroup: str
    kind: str
    name: str
    namespace: str

class UncountedTerminatedPods(TypedDict, total=False):
    failed: list[str]
    succeeded: list[str]

class ValidationRule(TypedDict, total=False):
    fieldPath: str
    message: str
    messageExpression: str
    optionalOldSelf: bool
    reason: Literal["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"]
    rule: str

class Volume(TypedDict, total=False):
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource
    azureDisk: AzureDiskVolumeSource
    azureFile: AzureFileVolumeSource
    cephfs: CephFSVolumeSource
    cinder: CinderVolumeSource
    configMap: ConfigMapVolumeSource
    csi: CSIVolumeSource
    downwardAPI: DownwardAPIVolumeSource
    emptyDir: EmptyDirVolumeSource
    ephemeral: EphemeralVolumeSource
    fc: FCVolumeSource
    flexVolume: FlexVolumeSource
    flocker: FlockerVolumeSource
    gcePersistentDisk: GCEPersistentDiskVolumeSource
    gitRepo: GitRepoVolumeSource
    glusterfs: GlusterfsVolumeSource
    hostPath: HostPathVolumeSource
    image: ImageVolumeSource
    iscsi: ISCSIVolumeSource
    name: str
    nfs: NFSVolumeSource
    persistentVolumeClaim: PersistentVolumeClaimVolumeSource
    photonPersistentDisk: PhotonPersistentDiskVolumeSource
    portworxVolume: PortworxVolumeSource
    projected: ProjectedVolumeSource
    quobyte: QuobyteVolumeSource
    rbd: RBDVolumeSource
    scaleIO: ScaleIOVolumeSource
    secret: SecretVolumeSource
    storageos: StorageOSVolumeSource
    vsphereVolume: VsphereVirtualDiskVolumeSource

class VolumeDevice(TypedDict, total=False):
    devicePath: str
    name: str

class VolumeHealthCondition(TypedDict, total=False):
    message: str
    reason: str
    status: Literal["DataLoss", "Degraded", "Inaccessible"]

class VolumeHealthStatus(TypedDict, total=False):
    healthConditions: list[VolumeHealthCondition]
    lastTransitionTime: str

class VolumeMount(TypedDict, total=False):
    bindMountOptions: list[str]
    mountPath: str
    mountPropagation: Literal["Bidirectional", "HostToContainer", "None"]
    name: str
    readOnly: bool
    recursiveReadOnly: str
    subPath: str
    subPathExpr: str

class VolumeMountStatus(TypedDict, total=False):
    mountPath: str
    name: str
    readOnly: bool
    recursiveReadOnly: str
    volumeStatus: VolumeStatus

class VolumeNodeAffinity(TypedDict, total=False):
    required: NodeSelector

class VolumeProjection(TypedDict, total=False):
    clusterTrustBundle: ClusterTrustBundleProjection
    configMap: ConfigMapProjection
    downwardAPI: DownwardAPIProjection
    podCertificate: PodCertificateProjection
    secret: SecretProjection
    serviceAccountToken: ServiceAccountTokenProjection

class VolumeResourceRequirements(TypedDict, total=False):
    limits: dict[str, str | int | float]
    requests: dict[str, str | int | float]

class VolumeStatus(TypedDict, total=False):
    image: ImageVolumeStatus

class VsphereVirtualDiskVolumeSource(TypedDict, total=False):
    fsType: str
    storagePolicyID: str
    storagePolicyName: str
    volumePath: str

class WebhookClientConfig(TypedDict, total=False):
    caBundle: str
    service: ServiceReference
    url: str

class WebhookConversion(TypedDict, total=False):
    clientConfig: WebhookClientConfig
    conversionReviewVersions: list[str]

class WeightedPodAffinityTerm(TypedDict, total=False):
    podAffinityTerm: PodAffinityTerm
    weight: int

class WindowsSecurityContextOptions(TypedDict, total=False):
    gmsaCredentialSpec: str
    gmsaCredentialSpecName: str
    hostProcess: bool
    runAsUserName: str

class WorkloadPodGroupDisruptionMode(TypedDict, total=False):
    all: dict[str, Any]
    single: dict[str, Any]

class WorkloadPodGroupGangSchedulingPolicy(TypedDict, total=False):
    minCount: int

class WorkloadPodGroupResourceClaim(TypedDict, total=False):
    name: str
    resourceClaimName: str
    resourceClaimTemplateName: str

class WorkloadPodGroupSchedulingConstraints(TypedDict, total=False):
    topology: list[TopologyConstraint]

class WorkloadPodGroupSchedulingPolicy(TypedDict, total=False):
    basic: dict[str, Any]
    gang: WorkloadPodGroupGangSchedulingPolicy
