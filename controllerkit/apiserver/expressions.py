"""Expressions in CEL: compiled once, with the functions that Kubernetes adds to the language.

The evaluator is the extra ``cel`` and is imported with the first expression. What it does otherwise than cel-go is put
right here: ``size`` counts characters and ``string`` writes numbers as Go does (calls of the two are renamed before
compilation, as built-in functions cannot be replaced). A call of a function that Kubernetes has and this module has
not is told by `Expression.unknown`; of one that nobody has, by `undeclared`.

Source of the functions: apiserver ``pkg/cel/library``, cel-go ``ext``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import cel

__all__ = ["CompileError", "EvaluationError", "Expression", "NotHere", "available", "compiled"]


class CompileError(Exception):
    """The text is no expression, or names what there is not."""


class EvaluationError(Exception):
    """The expression has no answer, in the words of cel-go."""


class NotHere(Exception):
    """The expression may have an answer, and this evaluator cannot find it."""


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether the evaluator is installed."""
    return find_spec("cel") is not None


# -- functions -------------------------------------------------------------------------------------------------------


def _string(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return _go_float(value)
        case bytes():
            return value.decode()
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return f"{_go_float(value.total_seconds())}s"
        case _:
            return str(value)


def _go_float(value: float) -> str:
    """As ``strconv.FormatFloat(value, 'g', -1, 64)`` does."""
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return re.sub(r"e([+-])(\d)$", r"e\g<1>0\2", repr(value))


def _index(text: Any, what: Any, start: int = 0) -> int:
    if isinstance(text, str):
        return text.find(what, start)
    return next((index for index, one in enumerate(text) if one == what), -1)


def _last_index(text: Any, what: Any, *end: int) -> int:
    if isinstance(text, str):
        return text.rfind(what, 0, end[0] + len(what)) if end else text.rfind(what)
    return next((len(text) - 1 - index for index, one in enumerate(reversed(text)) if one == what), -1)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, count)


def _split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    parts = list(text) if not separator else text.split(separator, count - 1 if count > 0 else -1)
    if not separator and count > 0:
        parts = [*parts[: count - 1], "".join(parts[count - 1 :])]
    return parts


def _ascii(upper: bool) -> Callable[[str], str]:
    def change(text: str) -> str:
        return "".join((one.upper() if upper else one.lower()) if one.isascii() else one for one in text)

    return change


def _format(text: str, values: list[Any]) -> str:
    rest = iter(values)

    def one(found: re.Match[str]) -> str:
        match found[0]:
            case "%%":
                return "%"
            case "%s" | "%d":
                return _shown(next(rest))
            case unknown:
                raise ValueError(f"only %s, %d and %% are known here, not {unknown}")

    return re.sub(r"%.?", one, text, flags=re.DOTALL)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_shown(k)}: {_shown(v)}" for k, v in sorted(value.items())) + "}"
    return _string(value)


def _find(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.ASCII)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [one[0] for one in re.finditer(pattern, text, re.ASCII)]
    return found if limit < 0 else found[:limit]


def _string_sum(values: list[Any]) -> Any:
    return sum(values[1:], start=values[0]) if values else 0


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "isSorted": lambda values: all(a <= b for a, b in pairwise(values)),
    "sum": _string_sum,
    "min": min,
    "max": max,
    "indexOf": _index,
    "lastIndexOf": _last_index,
    "find": _find,
    "findAll": _find_all,
    "charAt": lambda text, index: text[index : index + 1],
    "lowerAscii": _ascii(upper=False),
    "upperAscii": _ascii(upper=True),
    "replace": _replace,
    "split": _split,
    "join": lambda values, separator="": separator.join(values),
    "substring": lambda text, start, end=None: text[start:end],
    "trim": lambda text: text.strip(),
    "reverse": lambda value: value[::-1],
    "format": _format,
}
_RENAMED: Final[Mapping[str, Callable[..., Any]]] = {"size": len, "string": _string}
_PREFIX: Final = "kubernetes_"
_OPERATORS: Final = frozenset(
    {"_&&_", "_||_", "!_", "-_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"}
    | {"_+_", "_-_", "_*_", "_/_", "_%_", "_[_]", "@in", "_in_", "in", "@not_strictly_false", "!_strictly_false"}
)
_BUILT_IN: Final = frozenset(
    {"has", "type", "dyn", "int", "uint", "double", "bool", "bytes", "duration", "timestamp", "matches"}
    | {"startsWith", "endsWith", "contains", "all", "exists", "exists_one", "map", "filter"}
    | {"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"}
    | {"getHours", "getMinutes", "getSeconds", "getMilliseconds"}
    | {"hasValue", "value", "orValue"}
)
_NOT_HERE: Final = frozenset(
    {"isURL", "url", "getScheme", "getHost", "getHostname", "getPort", "getEscapedPath", "getQuery"}
    | {"isQuantity", "quantity", "isInteger", "asInteger", "asApproximateFloat", "sign", "add", "sub"}
    | {"isGreaterThan", "isLessThan", "compareTo", "isIP", "ip", "family", "isUnspecified", "isLoopback"}
    | {"isLinkLocalMulticast", "isLinkLocalUnicast", "isGlobalUnicast", "isCanonical", "isCIDR", "cidr"}
    | {"containsIP", "containsCIDR", "masked", "prefixLength", "isSemver", "semver", "major", "minor", "patch"}
    | {"named", "validate", "dns1123Label", "dns1123Subdomain", "dns1035Label", "qualifiedName", "labelValue"}
    | {"group", "resource", "subresource", "namespace", "name", "serviceAccount", "check", "allowed", "reason"}
    | {"path", "errored", "error", "fieldSelector", "labelSelector", "requestResource"}
    | {"bind", "greatest", "least", "sets.contains", "intersects", "equivalent", "optMap", "optFlatMap", "of"}
    | {"none", "ofNonZeroValue", "encode", "decode", "quote", "includes", "ceil", "floor", "round", "abs"}
    | {"transformList", "transformMap", "transformMapEntry", "existsOne", "existOne", "or", "key"}
)
"""Functions of Kubernetes' CEL that are not had here."""
_NAMESPACES: Final = frozenset({"math", "cel", "sets", "optional", "base64", "strings", "format", "ip", "cidr"})
_TYPES: Final = frozenset({"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"})
ORDERED: Final = frozenset({"_[_]", "_+_", "isSorted", "indexOf", "lastIndexOf", "join", "reverse"})
"""What looks at the order of a list."""

_TOKEN: Final = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:'''(?:\\.|.)*?'''|\"{3}(?:\\.|.)*?\"{3}|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))"""
    r"|(?P<comment>//[^\n]*)|(?P<name>[A-Za-z_]\w*)(?P<call>\s*\()?|(?P<other>.)",
    re.DOTALL,
)
_BINDS: Final = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*(\w+)\s*,")
_OPTIONAL: Final = re.compile(r"\.\?|\[\?|\{\?")


def _without_text(source: str) -> str:
    """The expression with its string literals emptied and comments gone."""
    return _TOKEN.sub(lambda found: '""' if found["text"] else "" if found["comment"] else found[0], source)


def _renamed(source: str) -> str:
    def one(found: re.Match[str]) -> str:
        return _PREFIX + found[0] if found["call"] and found["name"] in _RENAMED else found[0]

    return _TOKEN.sub(one, source)


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression.

    Attributes:
        bare: the source without the contents of its string literals. names: the variables it asks for.
        functions: what it calls, operators with them. unknown: of these, what Kubernetes has and this module not.
    """

    source: str
    bare: str
    names: frozenset[str]
    functions: frozenset[str]
    unknown: tuple[str, ...]
    _program: cel.Program

    def evaluate(self, given: Mapping[str, Any]) -> Any:
        """The answer.

        Raises:
            EvaluationError: there is none.
            NotHere: it cannot be found here.
        """
        import cel

        if self.unknown:
            raise NotHere(f"{', '.join(self.unknown)} is not known to this server")
        try:
            return self._program.execute(cel.Context(dict(given), _CALLABLE))
        except KeyError as error:
            raise EvaluationError(f"no such key: {str(error.args[0]).strip(chr(39))}") from error
        except IndexError as error:
            raise EvaluationError(str(error)) from error
        except ZeroDivisionError as error:
            raise EvaluationError(
                "modulus by zero" if str(error).startswith("modulo") else "division by zero"
            ) from error
        except OverflowError as error:
            raise EvaluationError("integer overflow") from error
        except TypeError as error:
            raise EvaluationError("no such overload") from error
        except Exception as error:
            raise NotHere(f"{type(error).__name__}: {str(error).split('. ', 1)[0]}") from error


_CALLABLE: Final = {**FUNCTIONS, **{_PREFIX + name: call for name, call in _RENAMED.items()}}


@lru_cache(maxsize=4096)
def compiled(source: str, *variables: str) -> Expression:
    """The expression, compiled once, in an environment that has these ``variables``.

    Raises:
        CompileError: it cannot be parsed, or names what there is not.
        NotHere: it is written in a syntax that this evaluator does not have.
    """
    import cel

    bare = _without_text(source)
    try:
        program = cel.compile(_renamed(source))
    except ValueError as error:
        if _OPTIONAL.search(bare):
            raise NotHere("optional syntax is not known to this server") from error
        told = str(error).split("': ", 1)[-1].replace(_PREFIX, "")
        raise CompileError(told) from error
    references = program.references()
    functions = frozenset(name.removeprefix(_PREFIX) for name in references["functions"])
    known = _OPERATORS | _BUILT_IN | FUNCTIONS.keys() | _RENAMED.keys()
    strange = functions - known
    bound = set(_BINDS.findall(bare))
    names = frozenset(references["variables"]) - bound - _TYPES
    missing = sorted(strange - _NOT_HERE) + (
        [] if strange else sorted(one for one in names - set(variables) - _NAMESPACES if not one.startswith("@"))
    )
    if missing:
        raise CompileError(
            "\n".join(f"ERROR: <input>:1:1: undeclared reference to '{one}' (in container '')" for one in missing)
        )
    return Expression(source, bare, names, functions, tuple(sorted(strange)), program)
