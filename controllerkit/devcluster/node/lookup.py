"""What Pods refer to: Secrets, ConfigMaps, claims, tokens – from the caches, else from the server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from controllerkit.cache import Handler, Informer
from controllerkit.client import Client
from controllerkit.devcluster.node.environment import Sources, references
from controllerkit.devcluster.node.volumes import TokenRequest, VolumeNotReady, token_requests
from controllerkit.errors import ApiError, MethodNotAllowed, NotFound
from controllerkit.objects import Key, Kind, Object, kinds
from controllerkit.runtime import Clock

__all__ = ["Lookup"]

TOKEN_RENEWAL: Final = 0.8
"""The kubelet asks for a new token after this part of the old one's life."""


class Lookup:
    """Reads what Pods need.

    A watch of Secrets may lag behind the watch of Pods, so what the cache lacks is asked of the server before it
    counts as missing.
    """

    KINDS: Final = (kinds.SECRET, kinds.CONFIG_MAP, kinds.PERSISTENT_VOLUME_CLAIM, kinds.PERSISTENT_VOLUME)

    def __init__(self, client: Client, informers: Mapping[Kind, Informer], clock: Clock) -> None:
        self._client = client
        self._informers = informers
        self._clock = clock
        self._tokens: dict[tuple[str, TokenRequest], tuple[str, float]] = {}

    async def get(self, kind: Kind, key: Key) -> Object | None:
        """The object, or None if there is none."""
        if (found := self._informers[kind].store.get(key)) is not None:
            return found
        try:
            return await self._client.get(kind, key)
        except NotFound:
            return None

    async def sources(self, pod: Object) -> Sources:
        """Every Secret and ConfigMap that the Pod names and that exists."""
        secrets, config_maps = references(pod.spec)
        found = await asyncio.gather(
            self._named(kinds.SECRET, pod.namespace, secrets),
            self._named(kinds.CONFIG_MAP, pod.namespace, config_maps),
        )
        return Sources(*found)

    async def _named(self, kind: Kind, namespace: str, names: Iterable[str]) -> dict[str, Object]:
        listed = sorted(names)
        values = await asyncio.gather(*(self.get(kind, Key(namespace, name)) for name in listed))
        return {name: value for name, value in zip(listed, values, strict=True) if value is not None}

    async def claimed_folder(self, namespace: str, volume: Mapping[str, Any]) -> Path | None:
        """Where the PersistentVolume behind the volume's claim lies; None for a volume without a claim.

        Raises:
            VolumeNotReady: the claim or its volume does not exist, is not bound, or is not on this machine.
        """
        source = volume.get("persistentVolumeClaim")
        if not source:
            return None
        name = source["claimName"]
        claim = await self.get(kinds.PERSISTENT_VOLUME_CLAIM, Key(namespace, name))
        if claim is None:
            raise VolumeNotReady(f'persistentvolumeclaim "{name}" not found')
        if claim.status.get("phase") != "Bound" or not claim.spec.get("volumeName"):
            raise VolumeNotReady(f'persistentvolumeclaim "{name}" is not bound')
        found = await self.get(kinds.PERSISTENT_VOLUME, Key("", claim.spec["volumeName"]))
        if found is None:
            raise VolumeNotReady(f'persistentvolume "{claim.spec["volumeName"]}" not found')
        path = (found.spec.get("hostPath") or found.spec.get("local") or {}).get("path")
        if not path:
            raise VolumeNotReady(
                f"persistentvolume {found.name!r} is neither hostPath nor local, so not on this machine"
            )
        return Path(path)

    async def tokens(self, pod: Object) -> dict[TokenRequest, str]:
        """The tokens the Pod asks for, new ones where the old ones near their end.

        A server without TokenRequest issues none, and the Pod goes without.

        Raises:
            VolumeNotReady: the server refused.
        """
        issued = {}
        for request in token_requests(pod.spec):
            if token := await self._token(pod, request):
                issued[request] = token
        return issued

    async def _token(self, pod: Object, request: TokenRequest) -> str:
        now = self._clock.monotonic()
        known = self._tokens.get((pod.uid, request))
        if known is not None and now < known[1]:
            return known[0]
        account = pod.spec.get("serviceAccountName") or "default"
        spec: dict[str, Any] = {
            "audiences": [request.audience] if request.audience else [],
            "expirationSeconds": request.expiration_s,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": pod.name, "uid": pod.uid},
        }
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = kinds.SERVICE_ACCOUNT.path(pod.namespace, account, "token")
        try:
            answer = await self._client.request_json("POST", path, body)
        except (NotFound, MethodNotAllowed) as error:
            if error.details.get("kind") == "serviceaccounts":
                raise VolumeNotReady(f"the token of ServiceAccount {account!r}: {error.message}") from error
            return ""
        except ApiError as error:
            raise VolumeNotReady(f"the token of ServiceAccount {account!r}: {error.message}") from error
        token = str((answer.get("status") or {}).get("token") or "")
        self._tokens[pod.uid, request] = (token, now + request.expiration_s * TOKEN_RENEWAL)
        return token

    def forget(self, uid: str) -> None:
        """Drops the tokens of a Pod that is gone."""
        for identity in [identity for identity in self._tokens if identity[0] == uid]:
            del self._tokens[identity]

    def on_change(self, call: Any) -> None:
        """``call(object)`` for every change of what Pods may refer to."""
        for kind in self.KINDS:
            self._informers[kind].add_handler(
                Handler(
                    on_add=lambda value, initial: None if initial else call(value),
                    on_update=lambda old, new: call(new),
                    on_delete=call,
                )
            )
