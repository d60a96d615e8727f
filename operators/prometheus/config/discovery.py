"""The kinds of service discovery that a ScrapeConfig may name: one table for each, in the order of the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from operators.prometheus.config.http import AUTHORIZATION, BASIC_AUTH, OAUTH2, PROXY, TLS
from operators.prometheus.tables import OMIT, Field, Inline, Scope, Table
from operators.prometheus.tables.makes import always, by_name, each, given, lowered, naturally, read_secret, secret
from operators.prometheus.tables.reading import mapping, text
from operators.prometheus.tables.table import Make

__all__ = ["KINDS", "Kind", "discovery"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of service discovery.

    Attributes:
        key: of the configuration.
        source: the field of the ScrapeConfig, a list.
        make: of one entry.
        since: the first version that knows it; "" for one that is as old as Prometheus 2.
        refused: for older versions the original refuses any ScrapeConfig, with such an entry or without.
    """

    key: str
    source: str
    make: Make | Table
    since: str = ""
    refused: bool = False


def discovery(spec: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """The sections of a job that say where its targets are.

    Raises:
        Rejected: a Secret that a cloud is asked with cannot be read.
    """
    return _ALL.of(spec, scope)


def _optional(*keys: str) -> tuple[Field, ...]:
    """Fields that are written where they are set, each from the field of the same name in the API's spelling."""
    return tuple(Field(key, _camel(key), given) for key in keys)


def _camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(_INITIALS.get(part, part.title()) for part in others)


_INITIALS: Final = {"id": "ID", "arn": "ARN", "http2": "HTTP2", "url": "URL"}

INTERVAL: Final = Field("refresh_interval", "refreshInterval", given)
REDIRECTS: Final = Field("follow_redirects", "followRedirects", given)
HTTP2: Final = Field("enable_http2", "enableHTTP2", given)
PORT: Final = Field("port", make=given)
ROLE: Final = Field("role", make=lambda value, scope: value.lower() if isinstance(value, str) else "", always=True)
SCHEME: Final = Field("scheme", make=lowered)


def _keys(entry: Any, scope: Scope) -> Mapping[str, Any]:
    """The two keys of an account, if both are named."""
    named = isinstance(entry, Mapping) and entry.get("accessKey") is not None and entry.get("secretKey") is not None
    return _ACCOUNT.of(entry, scope) if named else {}


_ACCOUNT: Final = Table(
    Field("access_key", "accessKey", read_secret),
    Field("secret_key", "secretKey", read_secret),
)
ACCOUNT: Final = Inline(_keys)

_FILTER: Final = Table(always("name"), always("values", otherwise=[]))


def _filters(value: Any, scope: Scope) -> Any:
    found = each(_FILTER)(value, scope)
    return found if found is OMIT else sorted(found, key=lambda each_: str(each_["name"])) or OMIT


FILTERS: Final = Field("filters", make=_filters)


def _kubernetes_role(value: Any, scope: Scope) -> Any:
    role = value.lower() if isinstance(value, str) else ""
    return OMIT if role == "endpointslice" and not scope.knows("2.21.0") else role


def _attached(entry: Any, scope: Scope) -> Mapping[str, Any]:
    """Only three roles know of it, each since its version."""
    section = mapping(entry)
    attached, since = section.get("attachMetadata"), _ATTACH_SINCE.get(text(section.get("role")).lower())
    if not isinstance(attached, Mapping) or since is None or not scope.knows(since):
        return {}
    return {"attach_metadata": {"node": attached.get("node")}}


_ATTACH_SINCE: Final = {"pod": "2.35.0", "endpoints": "2.37.0", "endpointslice": "2.37.0"}
_NAMESPACES: Final = Table(always("names", otherwise=[]), Field("own_namespace", "ownNamespace", given))
_SELECTOR: Final = Table(ROLE, *_optional("label", "field"))

_DNS_SINCE: Final = {"MX": "2.38.0", "NS": "2.49.0"}


def _record(value: Any, scope: Scope) -> Any:
    return value if scope.knows(_DNS_SINCE.get(str(value), "")) else OMIT


def _azure(entry: Any, scope: Scope) -> Any:
    """The original forgets how Azure is reached where the environment is named, and always the certificates, redirects
    and HTTP/2.
    """
    if scope.compat:
        forgotten = isinstance(entry, Mapping) and entry.get("environment") is not None
        return {**({} if forgotten else _AZURE_REACHED.of(entry, scope)), **_AZURE.of(entry, scope)}
    return {**_AZURE_REACHED.of(entry, scope), **_AZURE.of(entry, scope), **_AZURE_TLS.of(entry, scope)}


_AZURE_REACHED: Final = Table(BASIC_AUTH, AUTHORIZATION, OAUTH2, PROXY)
_AZURE: Final = Table(
    *_optional("environment", "authentication_method"),
    Field("subscription_id", "subscriptionID"),
    *_optional("tenant_id", "client_id"),
    Field("client_secret", "clientSecret", read_secret),
    Field("resource_group", "resourceGroup", given),
    INTERVAL,
    PORT,
)
_AZURE_TLS: Final = Table(REDIRECTS, HTTP2, TLS)

_OVH_SERVICES: Final = {"VPS": "vps", "DedicatedServer": "dedicated_server"}


def _ovh_service(value: Any, scope: Scope) -> Any:
    return _OVH_SERVICES.get(str(value), OMIT)


def _labels(value: Any, scope: Scope) -> Any:
    found = naturally(value, scope)
    return {} if found is OMIT else found


_STATIC: Final = Table(always("targets", otherwise=[]), Field("labels", make=_labels, always=True))
_FILE: Final = Table(always("files", otherwise=[]), INTERVAL)
_HTTP: Final = Table(BASIC_AUTH, AUTHORIZATION, TLS, PROXY, OAUTH2, always("url"), INTERVAL, REDIRECTS, HTTP2)
_KUBERNETES: Final = Table(
    Field("api_server", "apiServer", given),
    Field("role", make=_kubernetes_role, always=True),
    *(BASIC_AUTH, AUTHORIZATION, OAUTH2, PROXY, REDIRECTS, HTTP2, TLS),
    Field("namespaces", make=_NAMESPACES.of),
    Field("selectors", make=each(_SELECTOR), since="2.17.0"),
    Inline(_attached),
)
_CONSUL: Final = Table(
    *(BASIC_AUTH, AUTHORIZATION, OAUTH2, PROXY, TLS),
    always("server"),
    Field("path_prefix", "pathPrefix", given),
    Field("token", "tokenRef", read_secret),
    *_optional("datacenter", "namespace", "partition"),
    SCHEME,
    Field("services"),
    Field("tags"),
    Field("tag_separator", "tagSeparator", given),
    Field("node_meta", "nodeMeta", by_name),
    *_optional("filter", "health_filter", "allow_stale"),
    *(INTERVAL, REDIRECTS, HTTP2),
)
_DNS: Final = Table(always("names", otherwise=[]), INTERVAL, Field("type", make=_record), PORT)
_EC2: Final = Table(
    PROXY,
    Field("region", make=given),
    ACCOUNT,
    Field("role_arn", "roleARN", given),
    INTERVAL,
    PORT,
    Field("filters", make=_filters, since="2.3.0"),
    Field("follow_redirects", "followRedirects", given, since="2.41.0"),
    Field("enable_http2", "enableHTTP2", given, since="2.41.0"),
    Field("tls_config", "tlsConfig", TLS.make, since="2.41.0"),
)
_GCE: Final = Table(
    always("project"),
    always("zone"),
    Field("filter", make=given),
    INTERVAL,
    PORT,
    Field("tag_separator", "tagSeparator", given),
)
_OPENSTACK: Final = Table(
    ROLE,
    always("region"),
    *_optional("identity_endpoint", "username", "userid"),
    Field("password", make=read_secret),
    *_optional("domain_name", "domain_id", "project_name", "project_id"),
    Field("application_credential_name", "applicationCredentialName", given),
    Field("application_credential_id", "applicationCredentialId", given),
    Field("application_credential_secret", "applicationCredentialSecret", read_secret),
    Field("all_tenants", "allTenants", given),
    INTERVAL,
    PORT,
    Field("availability", make=lambda value, scope: value if scope.compat else lowered(value, scope)),
    TLS,
)
_DIGITALOCEAN: Final = Table(AUTHORIZATION, OAUTH2, PROXY, REDIRECTS, HTTP2, TLS, PORT, INTERVAL)
_KUMA: Final = Table(
    *(BASIC_AUTH, AUTHORIZATION, OAUTH2, PROXY),
    always("server"),
    *(REDIRECTS, HTTP2, TLS, INTERVAL),
    *_optional("fetch_timeout", "client_id"),
)
_EUREKA: Final = Table(
    *(BASIC_AUTH, AUTHORIZATION, OAUTH2, PROXY, REDIRECTS, HTTP2, TLS, INTERVAL),
    Field("server"),
)
_DOCKER: Final = Table(
    *(AUTHORIZATION, OAUTH2, PROXY, BASIC_AUTH, FILTERS),
    always("host"),
    *(TLS, PORT),
    Field("host_networking_host", "hostNetworkingHost", given),
    Field("match_first_network", "matchFirstNetwork", given, since="2.54.1"),
    *(INTERVAL, REDIRECTS, HTTP2),
)
_LINODE: Final = Table(
    *(AUTHORIZATION, OAUTH2, PROXY, TLS, PORT),
    Field("region", make=given),
    HTTP2,
    Field("tag_separator", "tagSeparator", given),
    *(INTERVAL, REDIRECTS),
)
_HETZNER: Final = Table(
    *(BASIC_AUTH, AUTHORIZATION, OAUTH2, PROXY, ROLE, REDIRECTS, HTTP2, TLS, PORT, INTERVAL),
    Field("label_selector", "labelSelector", since="3.5.0"),
)
_NOMAD: Final = Table(
    *(BASIC_AUTH, AUTHORIZATION, OAUTH2, PROXY),
    always("server"),
    *_optional("allow_stale", "namespace"),
    INTERVAL,
    *_optional("region", "tag_separator"),
    *(REDIRECTS, HTTP2, TLS),
)
_DOCKERSWARM: Final = Table(
    *(BASIC_AUTH, AUTHORIZATION, OAUTH2, PROXY, FILTERS),
    always("host"),
    *(TLS, ROLE, PORT, INTERVAL, REDIRECTS, HTTP2),
)
_PUPPETDB: Final = Table(
    *(BASIC_AUTH, AUTHORIZATION, OAUTH2, PROXY),
    always("url"),
    always("query"),
    Field("include_parameters", "includeParameters", given),
    *(PORT, INTERVAL, REDIRECTS, TLS, HTTP2),
)
_LIGHTSAIL: Final = Table(
    *(BASIC_AUTH, AUTHORIZATION, OAUTH2, PROXY),
    *_optional("region", "endpoint"),
    *(PORT, INTERVAL, ACCOUNT),
    Field("role_arn", "roleARN", given),
    *(TLS, REDIRECTS, HTTP2),
)
_OVHCLOUD: Final = Table(
    always("application_key", "applicationKey"),
    Field("application_secret", "applicationSecret", secret, always=True),
    Field("consumer_key", "consumerKey", secret, always=True),
    Field("service", make=_ovh_service),
    Field("endpoint", make=given),
    INTERVAL,
)
_SCALEWAY: Final = Table(
    always("access_key", "accessKey"),
    Field("secret_key", "secretKey", secret, always=True),
    always("project_id", "projectID"),
    *(ROLE, PORT),
    *_optional("api_url", "zone", "name_filter"),
    Field("tags_filter", "tagsFilter"),
    *(INTERVAL, PROXY, TLS, REDIRECTS, HTTP2),
)
_IONOS: Final = Table(
    Field("authorization", make=AUTHORIZATION.make, since="2.26.0"),
    *(OAUTH2, PROXY, TLS),
    always("datacenter_id", "datacenterID"),
    *(REDIRECTS, HTTP2, PORT, INTERVAL),
)

KINDS: Final = (
    Kind("static_configs", "staticConfigs", _STATIC),
    Kind("file_sd_configs", "fileSDConfigs", _FILE),
    Kind("http_sd_configs", "httpSDConfigs", _HTTP, "2.28.0", refused=True),
    Kind("kubernetes_sd_configs", "kubernetesSDConfigs", _KUBERNETES),
    Kind("consul_sd_configs", "consulSDConfigs", _CONSUL),
    Kind("dns_sd_configs", "dnsSDConfigs", _DNS),
    Kind("ec2_sd_configs", "ec2SDConfigs", _EC2),
    Kind("azure_sd_configs", "azureSDConfigs", _azure),
    Kind("gce_sd_configs", "gceSDConfigs", _GCE),
    Kind("openstack_sd_configs", "openstackSDConfigs", _OPENSTACK),
    Kind("digitalocean_sd_configs", "digitalOceanSDConfigs", _DIGITALOCEAN, "2.20.0", refused=True),
    Kind("kuma_sd_configs", "kumaSDConfigs", _KUMA, "2.29.0"),
    Kind("eureka_sd_configs", "eurekaSDConfigs", _EUREKA, "2.21.0"),
    Kind("docker_sd_configs", "dockerSDConfigs", _DOCKER, "2.27.0"),
    Kind("linode_sd_configs", "linodeSDConfigs", _LINODE, "2.28.0", refused=True),
    Kind("hetzner_sd_configs", "hetznerSDConfigs", _HETZNER, "2.21.0"),
    Kind("nomad_sd_configs", "nomadSDConfigs", _NOMAD, "2.37.0"),
    Kind("dockerswarm_sd_configs", "dockerSwarmSDConfigs", _DOCKERSWARM, "2.20.0", refused=True),
    Kind("puppetdb_sd_configs", "puppetDBSDConfigs", _PUPPETDB, "2.31.0", refused=True),
    Kind("lightsail_sd_configs", "lightSailSDConfigs", _LIGHTSAIL, "2.27.0", refused=True),
    Kind("ovhcloud_sd_configs", "ovhcloudSDConfigs", _OVHCLOUD, "2.40.0", refused=True),
    Kind("scaleway_sd_configs", "scalewaySDConfigs", _SCALEWAY, "2.26.0", refused=True),
    Kind("ionos_sd_configs", "ionosSDConfigs", _IONOS, "2.36.0", refused=True),
)
"""In the order of the output. Their versions: the changelog of Prometheus."""

_ALL: Final = Table(*(Field(kind.key, kind.source, each(kind.make)) for kind in KINDS))
