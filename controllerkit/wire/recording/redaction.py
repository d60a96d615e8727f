"""What must not be in a file: found by path, replaced by a keyed hash."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from controllerkit.errors import ConfigError
from controllerkit.wire.recording.paths import ApiPath

__all__ = ["MARK", "Redaction", "Rule"]

MARK: Final = "redacted-"
"""What every hidden value begins with; in ``data`` of Secrets beneath base64."""

HASH_DIGITS: Final = 24
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
NOT_RECORDED: Final = "(not recorded)"

_TOKEN: Final = re.compile(r"""\.?(?:\[(?:'([^']+)'|"([^"]+)"|([^\]]+))\]|([^.\[\]]+))""")
_canonical: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Rule:
    """One path in objects of one kind, "" for every kind; ``*`` stands for any field or item.

    All that lies under the path is hidden; the names of fields stay.
    """

    kind: str
    path: tuple[str, ...]
    encoded: bool = False

    @classmethod
    def parse(cls, text: str) -> Rule:
        """From ``[KIND:]PATH``.

        >>> Rule.parse("ConfigMap:data.password").path, Rule.parse(".spec.env[*].value").path
        (('data', 'password'), ('spec', 'env', '*', 'value'))
        >>> Rule.parse("Pod:metadata.annotations[example.dev/key]").path
        ('metadata', 'annotations', 'example.dev/key')

        Raises:
            ConfigError: it is no path.
        """
        kind, colon, path = text.partition(":")
        kind, path = (kind, path) if colon and re.fullmatch(r"\w+", kind) else ("", text)
        found = list(_TOKEN.finditer(path))
        if not found or "".join(each[0] for each in found) != path:
            raise ConfigError(f"cannot redact {text!r}: write [KIND:]PATH, as in ConfigMap:data.password")
        return cls(kind, tuple(next(filter(None, each.groups())) for each in found))

    def __str__(self) -> str:
        path = "".join(f".{each}" if re.fullmatch(r"\w+", each) else f"[{each}]" for each in self.path)
        return f"{self.kind}:{path.removeprefix('.')}" if self.kind else path.removeprefix(".")

    def concerns(self, plural: str, kind: str) -> bool:
        """Whether objects of this resource are meant; they may not say their kind, as patches do not."""
        wanted = self.kind.lower()
        named = (wanted, f"{wanted}s", f"{wanted}es", f"{wanted.removesuffix('y')}ies")
        return not wanted or plural in named or kind.lower() == wanted


ALWAYS: Final = (
    Rule("Secret", ("data",), encoded=True),
    Rule("Secret", ("stringData",)),
    Rule("TokenReview", ("spec", "token")),
    Rule("TokenRequest", ("status", "token")),
)
_SUBRESOURCES: Final = {("serviceaccounts", "token"): "TokenRequest"}


class Redaction:
    """Hides values by `ALWAYS` and by further rules.

    Guarantees:
        Of Secrets ``data`` and ``stringData`` are hidden, the tokens of TokenReview and TokenRequest, and what
        ``rules`` name: in objects, lists, watch events and patches of all kinds. Wherever something of a kind is
        hidden, so are the annotation ``last-applied-configuration`` of its objects, which repeats it, and the texts of
        refusals, which may quote it. Equal values become equal texts within one recording, whether they stand in
        ``data`` or ``stringData``; they cannot be looked up, since the key is random and is kept nowhere.

    Caveats:
        Nothing else is hidden: what lies in ConfigMaps, in annotations, environment variables, Events, status or specs
        of custom resources is recorded as it is, also where it was copied from a Secret. Name it by a rule. Names of
        fields are never hidden.

    Args:
        rules: as ``[KIND:]PATH``; see `Rule.parse`.
        key: of the hash; for tests.
    """

    def __init__(self, rules: Iterable[str] = (), *, key: bytes | None = None) -> None:
        self.rules = (*ALWAYS, *map(Rule.parse, rules))
        self._key = key or secrets.token_bytes(32)
        self._used: set[Rule] = set()

    @property
    def unused(self) -> list[str]:
        """The further rules that nothing matched: perhaps they were mistyped."""
        return [str(rule) for rule in self.rules[len(ALWAYS) :] if rule not in self._used]

    def rules_for(self, path: ApiPath | None) -> tuple[Rule, ...]:
        """The rules that may concern what this path answers."""
        if path is None:
            return ()
        kind = _SUBRESOURCES.get((path.plural, path.subresource), "")
        return tuple(
            rule
            for rule in self.rules
            if rule.concerns(path.plural, kind) and (rule not in ALWAYS[:2] or not path.group)
        )

    def apply(self, rules: Sequence[Rule], value: Any) -> Any:
        """``value`` (an object, a list, an event of a watch, a patch; changed) without what ``rules`` hide."""
        if isinstance(value, list):
            return [self._operation(rules, each) if isinstance(each, dict) else each for each in value]
        if not isinstance(value, dict):
            return self._hidden(value, encoded=False)
        if isinstance(value.get("object"), dict) and isinstance(value.get("type"), str) and "kind" not in value:
            return {**value, "object": self.apply(rules, value["object"])}
        if value.get("kind") == "Status" and "status" in value and "metadata" in value:
            return _untold(value)
        if isinstance(value.get("items"), list) and str(value.get("kind", "")).endswith("List"):
            return {**value, "items": [self.apply(rules, each) for each in value["items"]]}
        for rule in (*rules, Rule("", ("metadata", "annotations", LAST_APPLIED))):
            value = self._walk(value, rule.path, rule)
        return value

    def _operation(self, rules: Sequence[Rule], operation: dict[str, Any]) -> dict[str, Any]:
        """One of a JSON patch."""
        pointer = [each.replace("~1", "/").replace("~0", "~") for each in str(operation.get("path", "")).split("/")[1:]]
        for rule in (*rules, Rule("", ("metadata", "annotations", LAST_APPLIED))):
            both = zip(rule.path, pointer, strict=False)
            if "value" in operation and all(step in ("*", given) for step, given in both):
                value = self._walk(operation["value"], rule.path[len(pointer) :], rule)
                operation = {**operation, "value": value}
        return operation

    def _walk(self, value: Any, path: Sequence[str], rule: Rule) -> Any:
        if not path:
            self._used.add(rule)
            return self._hidden(value, encoded=rule.encoded)
        step, rest = path[0], path[1:]
        if isinstance(value, dict):
            for name in value if step == "*" else [step] if step in value else []:
                value[name] = self._walk(value[name], rest, rule)
        elif isinstance(value, list) and (step == "*" or step.isdigit()):
            for at, each in enumerate(value):
                if step in ("*", str(at)):
                    value[at] = self._walk(each, rest, rule)
        return value

    def _hidden(self, value: Any, *, encoded: bool) -> Any:
        match value:
            case None:
                return None
            case dict():
                return {name: self._hidden(each, encoded=encoded) for name, each in value.items()}
            case list():
                return [self._hidden(each, encoded=encoded) for each in value]
            case str() if encoded:
                return base64.b64encode(self._hash(_decoded(value)).encode()).decode()
            case str():
                return self._hash(value.encode())
            case _:
                return self._hash(_canonical.encode(value))

    def _hash(self, value: bytes) -> str:
        return MARK + hmac.new(self._key, value, "sha256").hexdigest()[:HASH_DIGITS]


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value.encode()


def _untold(status: dict[str, Any]) -> dict[str, Any]:
    """A refusal by its reason alone."""
    told: dict[str, Any] = {**status, "message": NOT_RECORDED} if "message" in status else dict(status)
    details = told.get("details")
    if isinstance(details, dict) and isinstance(details.get("causes"), list):
        causes = [{**each, "message": NOT_RECORDED} for each in details["causes"] if isinstance(each, dict)]
        told["details"] = {**details, "causes": causes}
    return told
