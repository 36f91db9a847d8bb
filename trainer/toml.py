"""A configuration as TOML text: what `--print-config` writes and `--config` reads.

The standard library reads TOML and does not write it; a config holds only tables, booleans, integers, reals,
strings and lists of those, so a writer is short. Law: `tomllib.loads(dumps(table)) == table`.
"""

import json
import re
from collections.abc import Iterator, Mapping

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def dumps(table: Mapping[str, object]) -> str:
    """The TOML text of `table`: a key's plain values first, then its tables, in the order given."""
    return "\n".join(_lines(table, path=())).strip("\n") + "\n"


def _lines(table: Mapping[str, object], *, path: tuple[str, ...]) -> Iterator[str]:
    """Plain values, then one `[path.key]` section per table."""
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if path and (plain or not table):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for key, value in plain.items():
        yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _lines(value, path=(*path, key))


def _key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _text(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    raise TypeError(f"no TOML form for {type(value).__name__}")


def _text(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, but for DEL, and characters beyond 16 bits stand as they are."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
