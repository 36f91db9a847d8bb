"""Canonical JSON (F-10 ... F-16): RFC 8785's form over a narrower domain, so that every writer agrees on every byte.

Integers |n| <= 2^53-1; a real is 0 or 1e-4 <= |x| < 1e16 and written as Python's repr without a trailing `.0`;
strings hold no control, bidi or surrogate code points; nesting <= 8; no null. It knows nothing of the manifest's
schema.

Laws: `loads(dumps(v)) == v` and `dumps(loads(b)) == b` for every accepted b.
"""

import json
import math
import re
from typing import Final, NoReturn

from artifact.format.errors import DuplicateKey, ManifestNotCanonical, shown
from artifact.format.limits import MAX_MANIFEST_NESTING, MAX_SAFE_INTEGER

FORBIDDEN_TEXT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control (Cc), bidirectional and surrogate code points: they can disguise or break what a reviewer sees."""
MAX_NUMBER_CHARACTERS: Final = 32


def dumps(value: object) -> bytes:
    """The one canonical form of `value` (dict, list, tuple, str, bool, int, float), UTF-8.

    Raises:
        ManifestNotCanonical: a value outside the domain, named by its path.
    """
    return _encode(value, path="manifest", depth=0).encode("utf-8")


def loads(raw: bytes) -> object:
    """Parse `raw`, refusing every byte string but the canonical one.

    Raises:
        DuplicateKey: an object holds a key twice.
        ManifestNotCanonical: anything else, with the first offset that differs where there is one.
    """
    _check_nesting(raw)
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_int=_parse_int,
            parse_float=_parse_float,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise _not_canonical(f"offset {error.start}", "UTF-8", "an invalid byte sequence") from None
    except json.JSONDecodeError as error:
        raise _not_canonical(f"character {error.pos}", "JSON", error.msg) from None
    canonical = dumps(value)
    if canonical != raw:
        place = f"offset {first_difference(raw, canonical)}"
        raise _not_canonical(place, "the canonical form", "another spelling of the same value")
    return value


def first_difference(one: bytes, other: bytes) -> int:
    """The first offset at which two byte strings differ; the shorter length where one begins with the other."""
    length = min(len(one), len(other))
    return next((i for i in range(length) if one[i] != other[i]), length)


def _not_canonical(place: str, expected: str, got: str) -> ManifestNotCanonical:
    return ManifestNotCanonical(f"manifest, {place}" if place else "manifest", expected=expected, got=got)


def _check_nesting(raw: bytes) -> None:
    """Bound the depth before any recursive parser sees the text; one pass, linear."""
    depth = 0
    in_string = escaped = False
    for offset, byte in enumerate(raw):
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            if depth > MAX_MANIFEST_NESTING:
                raise _not_canonical(f"offset {offset}", f"nesting of at most {MAX_MANIFEST_NESTING}", "more")
        elif byte in b"]}":
            depth -= 1


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in pairs:
        if key in result:
            raise DuplicateKey("manifest", expected="every key once", got=f"{shown(key)} twice")
        result[key] = value
    return result


def _parse_int(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise _not_canonical("", f"integers of at most {MAX_SAFE_INTEGER}", f"one of {len(text)} characters")
    return int(text)


def _parse_float(text: str) -> float:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise _not_canonical("", "the shortest form of a real", f"one of {len(text)} characters")
    return float(text)


def _refuse_constant(text: str) -> NoReturn:
    raise _not_canonical("", "finite numbers", text)


def _encode(value: object, *, path: str, depth: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _encode_text(str(value), path)
    if isinstance(value, int):
        return _encode_int(value, path)
    if isinstance(value, float):
        return _encode_real(value, path)
    if depth >= MAX_MANIFEST_NESTING:
        raise ManifestNotCanonical(path, expected=f"nesting of at most {MAX_MANIFEST_NESTING}", got="more")
    if isinstance(value, list | tuple):
        return "[" + ",".join(_encode(v, path=f"{path}[{i}]", depth=depth + 1) for i, v in enumerate(value)) + "]"
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: str(item[0]).encode("utf-16-be", "surrogatepass"))
        fields = (
            f"{_encode_text(str(k), path)}:{_encode(v, path=f'{path}.{shown(k)}', depth=depth + 1)}" for k, v in items
        )
        return "{" + ",".join(fields) + "}"
    raise ManifestNotCanonical(path, expected="an object, array, string, boolean or number", got=shown(value))


def _encode_text(text: str, path: str) -> str:
    found = FORBIDDEN_TEXT.search(text)
    if found:
        got = f"U+{ord(found.group()):04X} at character {found.start()}"
        raise ManifestNotCanonical(path, expected="no control, bidi or surrogate code points", got=got)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _encode_int(number: int, path: str) -> str:
    if abs(number) > MAX_SAFE_INTEGER:
        raise ManifestNotCanonical(path, expected=f"an integer within ±{MAX_SAFE_INTEGER}", got=shown(number))
    return str(number)


def _encode_real(number: float, path: str) -> str:
    negative_zero = number == 0 and math.copysign(1.0, number) < 0
    if negative_zero or not (number == 0 or 1e-4 <= abs(number) < 1e16):
        raise ManifestNotCanonical(path, expected="0 or a magnitude in [1e-4, 1e16)", got=repr(number))
    if number.is_integer():
        return _encode_int(int(number), path)
    return repr(number)
