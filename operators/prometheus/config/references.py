"""What objects refer to: read when they are checked, so that nothing is missing when their jobs are written.

Each check raises `Rejected` with the field; references are looked up in the namespace of the scope.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from operators.prometheus.config.http import asset_name, blank
from operators.prometheus.tables import Rejected, Scope
from operators.prometheus.tables.certificates import check_authority, check_pair
from operators.prometheus.tables.reading import entries, mapping, text
from operators.prometheus.tables.urls import parse_url

__all__ = ["References", "check_tls_fields", "inside"]

WAYS: Final = "authorization", "basicAuth", "bearerTokenSecret", "oauth2"
"""Of which a client can use one."""


def inside(name: str, check: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``check(*args)``; what it refuses is told with its place in ``name``."""
    try:
        return check(*args, **kwargs)
    except Rejected as refused:
        raise refused.at(name) from None


@dataclass(slots=True)
class References:
    """Checks of sections with references.

    Attributes:
        scope: of the object; its namespace is where references are looked up.
        files: of certificates and keys, by the names that the configuration has for them; filled by the checks.
    """

    scope: Scope
    files: dict[str, str] = field(default_factory=dict, repr=False)

    def secret(self, reference: Any) -> str:
        """The text at a reference to a Secret."""
        return self.scope.assets.secret(self.scope.namespace, _plain(reference))

    def either(self, reference: Any) -> str:
        """The text at ``{"secret": …}`` or ``{"configMap": …}``; "" for neither."""
        named = mapping(reference)
        plain = {kind: _plain(named[kind]) for kind in ("secret", "configMap") if named.get(kind) is not None}
        return self.scope.assets.either(self.scope.namespace, plain)

    def http(
        self, section: Mapping[str, Any], *, files: bool = False, class_authorizes: bool = False, alone: bool = True
    ) -> None:
        """How a client reaches its server: at most one way to authenticate, and everything behind it.

        Args:
            files: the section may name files for its certificates.
            class_authorizes: a scrape class has the credentials that the section may leave out.
            alone: several ways to authenticate are refused.
        """
        used = [way for way in WAYS if section.get(way) is not None]
        if alone and len(used) > 1:
            raise Rejected(f"a client authenticates in one way; use {' or '.join(used)}")
        authorization = section.get("authorization")
        if authorization is not None and mapping(authorization).get("credentials") is None and not class_authorizes:
            raise Rejected("the credentials are missing; refer to a Secret", "authorization.credentials")
        inside("basicAuth", self.basic_auth, section.get("basicAuth"))
        inside("authorization", self.authorization, authorization)
        inside("oauth2", self.oauth2, section.get("oauth2"))
        inside("tlsConfig", self.tls, section.get("tlsConfig"), files=files)
        self.proxy(section)

    def basic_auth(self, section: Any) -> None:
        """``username`` and ``password``."""
        if section is not None:
            for name in ("username", "password"):
                inside(name, self.secret, mapping(section).get(name))

    def authorization(self, section: Any) -> None:
        """``credentials``, or ``credentialsFile``."""
        found = mapping(section)
        if found.get("credentials") is None:
            return
        if text(found.get("credentialsFile")):
            raise Rejected("names credentials and a file of them; name one", "credentialsFile")
        if text(found.get("type")).strip().lower() == "basic":
            raise Rejected("basic is no type here; use basicAuth", "type")
        if text(mapping(found["credentials"]).get("name")):
            inside("credentials", self.secret, found["credentials"])

    def oauth2(self, section: Any) -> None:
        """Id, secret and address of a client, with the proxy and TLS on the way to its tokens."""
        if section is None:
            return
        found = mapping(section)
        if not text(found.get("tokenUrl")):
            raise Rejected("the address where tokens come from is missing", "tokenUrl")
        if blank(found.get("clientId")):
            raise Rejected("the id of the client is missing; refer to a Secret or a ConfigMap", "clientId")
        inside("clientId", self.either, found.get("clientId"))
        inside("clientSecret", self.secret, found.get("clientSecret"))
        self.proxy(found)
        inside("tlsConfig", self.tls, found.get("tlsConfig"))

    def proxy(self, section: Mapping[str, Any]) -> None:
        """``proxyUrl`` and what stands beside it in a section."""
        url, none_for = text(section.get("proxyUrl")), text(section.get("noProxy"))
        environment, headers = section.get("proxyFromEnvironment") is True, mapping(section.get("proxyConnectHeader"))
        if headers and not environment and not url:
            raise Rejected("headers for a proxy need one; set proxyUrl or proxyFromEnvironment", "proxyConnectHeader")
        if environment and (url or none_for):
            other = "proxyUrl" if url else "noProxy"
            raise Rejected("the proxy is taken from the environment; leave this out, or proxyFromEnvironment", other)
        if none_for and not url:
            raise Rejected("says what no proxy is used for, but there is none; set proxyUrl", "noProxy")
        inside("proxyUrl", parse_url, url)
        for name, references in sorted(headers.items()):
            if not entries(references):
                raise Rejected("refers to no Secret", f"proxyConnectHeader[{name}]")
            for at, reference in enumerate(entries(references)):
                inside(f"proxyConnectHeader[{name}][{at}]", self.secret, reference)

    def tls(self, section: Any, *, files: bool = False) -> None:
        """Certificates and key, that they can be read and belong together.

        Args:
            files: the section may name files instead.
        """
        if section is None:
            return
        found = mapping(section)
        check_tls_fields(found, files=files)
        namespace = self.scope.namespace
        if not blank(found.get("ca")):
            authority = inside("ca", self.either, found["ca"])
            inside("ca", check_authority, authority)
            self.files[asset_name(namespace, found["ca"])] = authority
        if not blank(found.get("cert")) and found.get("keySecret") is not None:
            certificate = inside("cert", self.either, found["cert"])
            key = inside("keySecret", self.secret, found["keySecret"])
            check_pair(certificate, key)
            self.files[asset_name(namespace, found["cert"])] = certificate
            self.files[asset_name(namespace, found["keySecret"])] = key


def _plain(reference: Any) -> dict[str, str]:
    return {name: text(mapping(reference).get(name)) for name in ("name", "key")}


def check_tls_fields(section: Mapping[str, Any], *, files: bool) -> None:
    """The fields of a ``tlsConfig`` go together, as far as can be told without what they refer to."""
    has = {name: not blank(section.get(name)) for name in ("ca", "cert")}
    has["keySecret"] = section.get("keySecret") is not None
    named = {name: files and bool(text(section.get(name))) for name in ("caFile", "certFile", "keyFile")}
    for reference, name in (("ca", "caFile"), ("cert", "certFile"), ("keySecret", "keyFile")):
        if has[reference] and named[name]:
            raise Rejected(f"names {reference} and {name}; name one", name)
    certificate, key = has["cert"] or named["certFile"], has["keySecret"] or named["keyFile"]
    if certificate != key:
        missing, present = ("key", "certificate") if certificate else ("certificate", "key")
        raise Rejected(f"a client's {present} needs its {missing}; name both or neither")
    least, most = text(section.get("minVersion")), text(section.get("maxVersion"))
    if least and most and most < least:
        raise Rejected(f"{most} is older than minVersion {least}", "maxVersion")
