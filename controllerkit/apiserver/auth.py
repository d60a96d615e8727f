"""Who asks: the admin token, and tokens of ServiceAccounts made by this server.

A ServiceAccount token is a JSON web token signed with a key of this server (HS256): nobody but the server has to
check it. Authorization is not enforced: whoever is let in may do everything, and access reviews say so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from controllerkit.errors import Unauthorized
from controllerkit.objects import rfc3339

__all__ = ["Authenticator", "User"]

Value = dict[str, Any]

ISSUER: Final = "https://kubernetes.default.svc"
_TOKEN_LIFE_S: Final = 3600
_HEADER: Final = b'{"alg":"HS256","typ":"JWT"}'


@dataclass(frozen=True, slots=True)
class User:
    """Name and groups, as TokenReview shows them."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()

    def to_dict(self) -> Value:
        """As in ``TokenReview.status.user``."""
        value: Value = {"username": self.name, "groups": list(self.groups)}
        return {**value, "uid": self.uid} if self.uid else value


ADMIN: Final = User("admin", "admin", ("system:masters", "system:authenticated"))


class Authenticator:
    """Checks tokens. ``token`` None lets everyone in as the administrator.

    ``account_uid`` tells the uid of the ServiceAccount of a namespace and name, "" where there is none: with the
    account its tokens go.
    """

    def __init__(self, token: str | None, *, account_uid: Callable[[str, str], str], key: bytes | None = None) -> None:
        self._token = token
        self._account_uid = account_uid
        self.key = key or secrets.token_bytes(32)

    def authenticate(self, header: str, now: datetime) -> User:
        """The user of an Authorization header.

        Raises:
            Unauthorized: a token is required and this is none that is known.
        """
        if self._token is None:
            return ADMIN
        scheme, _, token = header.partition(" ")
        user = self.user_of(token.strip(), now) if scheme.lower() == "bearer" else None
        if user is None:
            raise Unauthorized("Unauthorized")
        return user

    def user_of(self, token: str, now: datetime) -> User | None:
        """Whose token this is; None where it is nobody's, or no longer."""
        if self._token is not None and hmac.compare_digest(token.encode(), self._token.encode()):
            return ADMIN
        claims = self._claims(token)
        if claims is None or claims.get("exp", 0) <= now.timestamp():
            return None
        account = (claims.get("kubernetes.io") or {}).get("serviceaccount") or {}
        namespace = (claims.get("kubernetes.io") or {}).get("namespace", "")
        if self._account_uid(namespace, account.get("name", "")) != account.get("uid"):
            return None
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return User(str(claims.get("sub")), account.get("uid", ""), groups)

    def _sign(self, text: str) -> str:
        return _encode(hmac.new(self.key, text.encode(), hashlib.sha256).digest())

    def _claims(self, token: str) -> Value | None:
        signed, _, signature = token.rpartition(".")
        if signed.count(".") != 1 or not hmac.compare_digest(self._sign(signed).encode(), signature.encode()):
            return None
        claims: Value = msgspec.json.decode(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
        return claims

    def issue(self, account: Mapping[str, Any], request: Mapping[str, Any], now: datetime) -> Value:
        """The answer to a TokenRequest: the request with its status."""
        metadata, spec = account["metadata"], dict(request.get("spec") or {})
        life_s = int(spec.get("expirationSeconds") or _TOKEN_LIFE_S)
        expires = now + timedelta(seconds=life_s)
        audiences = spec.get("audiences") or [ISSUER]
        bound: Value = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        }
        if reference := spec.get("boundObjectRef"):
            kind = str(reference.get("kind", "")).lower()
            bound[kind] = {"name": reference.get("name"), "uid": reference.get("uid", "")}
        claims = {
            "aud": audiences,
            "exp": int(expires.timestamp()),
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
            "kubernetes.io": bound,
        }
        signed = f"{_encode(_HEADER)}.{_encode(msgspec.json.encode(claims))}"
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "creationTimestamp": rfc3339(now),
            },
            "spec": {"expirationSeconds": life_s, "boundObjectRef": None, **spec, "audiences": audiences},
            "status": {"token": f"{signed}.{self._sign(signed)}", "expirationTimestamp": rfc3339(expires)},
        }

    def review_token(self, request: Mapping[str, Any], now: datetime) -> Value:
        """The status of a TokenReview."""
        user = self.user_of(str((request.get("spec") or {}).get("token", "")), now)
        if user is None:
            return {"user": {}, "error": "invalid bearer token"}
        audiences = (request.get("spec") or {}).get("audiences") or [ISSUER]
        return {"authenticated": True, "user": user.to_dict(), "audiences": list(audiences)}


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
