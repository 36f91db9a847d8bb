"""From a preset to the config of a run: the fields of a TOML file, then those of `--set path=value`.

A config is complete, so what a path names and of which kind it is can be read off the preset's own values: unknown
paths are refused with the nearest known one. `*` in a path stands for every key at its place
(`linears.attn.*.lora_rank=32`).
"""

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from artifact.format import canonical
from artifact.format.errors import ArtifactError
from artifact.format.manifest import translate
from trainer.config import Config
from trainer.errors import ConfigError

Table: TypeAlias = dict[str, object]


def to_table(config: Config) -> Table:
    """The config as plain data: tables, lists, strings, numbers and booleans."""
    table: Table = config.model_dump(mode="json", exclude_none=True)
    return table


def config_text(config: Config) -> str:
    """The whole config as canonical JSON; its digest is the identity of a run."""
    return canonical.dumps(to_table(config)).decode()


def from_table(table: Mapping[str, object]) -> Config:
    """Check plain data against the schema.

    Raises:
        ConfigError: naming the first field that is wrong.
    """
    try:
        config = Config.model_validate_json(json.dumps(table))
        config_text(config)
    except ValidationError as error:
        fault = translate(error)
    except ArtifactError as error:
        fault = error
    except TypeError:  # TOML has dates, JSON does not
        raise ConfigError("config: expected numbers, strings, booleans, lists and tables, got a date or time") from None
    else:
        return config
    where = fault.where.removeprefix("manifest.").replace("'", "")  # as canonical JSON names a place
    raise ConfigError(f"{where}: expected {fault.expected}, got {fault.got}") from None


def resolve(preset: Config, *, file: Mapping[str, object], settings: Sequence[str]) -> Config:
    """The preset with the fields of `file`, then each `path=value` of `settings`, in order.

    Raises:
        ConfigError: an unknown path, a value of a wrong type, or fields that do not fit together.
    """
    table = to_table(preset)
    _merge(table, {key: value for key, value in file.items() if key != "preset"}, path="")
    for setting in settings:
        _apply(table, setting)
    return from_table(table)


def read_file(path: Path) -> Table:
    """The fields in a TOML file.

    Raises:
        ConfigError: it cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: expected TOML, got {error}") from None


def _merge(table: Table, changes: Mapping[str, object], *, path: str) -> None:
    for key, value in changes.items():
        where = f"{path}{key}"
        if key not in table:
            raise ConfigError(_unknown(where, _leaves(table, path)))
        inner = table[key]
        if isinstance(inner, dict) and not _is_choice(inner):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: expected a section with fields, got {value!r}")
            _merge(inner, value, path=f"{where}.")
        else:
            table[key] = value


def _is_choice(table: Mapping[str, object]) -> bool:
    """A quantisation is one of two shapes, so a file replaces it as a whole."""
    return "bits" in table or "dtype" in table


def _apply(table: Table, setting: str) -> None:
    """Change the fields that one `path=value` names."""
    path, equals, text = setting.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"--set {setting}: expected PATH=VALUE, as in --set model.num_layers=8")
    steps, text = path.strip().split("."), text.strip()
    targets = list(_targets(table, steps))
    if not targets:
        raise ConfigError(f"--set {_unknown(path.strip(), _leaves(table, ''))}")
    for owner, key in targets:
        current = owner[key]
        if isinstance(current, dict) and not _is_choice(current):
            fields = ", ".join(map(str, current))
            raise ConfigError(f"--set {path.strip()}: this is a section; set one of its fields: {fields}")
        owner[key] = text if isinstance(current, str) and not text.startswith('"') else _parse(path.strip(), text)


def _targets(node: object, steps: Sequence[str]) -> Iterator[tuple[Table, str]]:
    """Every (table, key) that the steps lead to; a number is an index into a list."""
    step, rest = steps[0], steps[1:]
    if isinstance(node, list):
        chosen = node if step == "*" else [item for index, item in enumerate(node) if step == str(index)]
        for item in chosen:
            yield from _targets(item, rest) if rest else ()
    elif isinstance(node, dict):
        for key in node if step == "*" else [step] if step in node else []:
            if rest:
                yield from _targets(node[key], rest)
            else:
                yield node, key


def _parse(path: str, text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise ConfigError(f"--set {path}: expected a number, true, false or a list, got {text!r}") from None


def _leaves(node: object, path: str) -> Iterator[str]:
    """The paths of every field below `node`."""
    items = enumerate(node) if isinstance(node, list) else node.items() if isinstance(node, dict) else ()
    for key, value in items:
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
            yield from _leaves(value, f"{path}{key}.")
        yield f"{path}{key}"


def _unknown(where: str, known: Iterator[str]) -> str:
    near = difflib.get_close_matches(where, list(known), n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else "--print-config shows every field"
    return f"{where}: no such field; {hint}"
