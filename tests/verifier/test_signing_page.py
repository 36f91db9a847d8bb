"""docs/signing.md and docs/significance.md keep up with the code, and what can be run from them is run."""

import json
import re
from pathlib import Path

import pytest
from click import Command
from cryptography.exceptions import InvalidSignature

from tests.verifier.judged import accepted
from verifier import attestation, compare_cli, compare_errors, keys, signing_cli, signing_errors
from verifier.dsse import MAX_ENVELOPE_BYTES
from verifier.significance import MARGIN_NATS, PRACTISED_P, SEED_SD_NATS, WRITTEN_P

DOCS = Path(__file__).parents[2] / "docs"
SIGNING, SIGNIFICANCE = ((DOCS / name).read_text() for name in ("signing.md", "significance.md"))


def codes(module: object, family: type) -> list[str]:
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, family)]
    return [value.code for value in found]


def flags(command: Command) -> list[str]:
    return [flag for option in command.params for flag in option.opts if flag.startswith("--")]


def test_every_code_stands_on_its_page() -> None:
    for code in codes(signing_errors, signing_errors.SigningError):
        assert f"`{code}`" in SIGNING
    for code in codes(compare_errors, compare_errors.Incomparable):
        assert f"`{code}`" in SIGNIFICANCE


def test_every_flag_stands_on_its_page() -> None:
    for command in (signing_cli.new, signing_cli.sign_command, signing_cli.verify_command):
        for flag in flags(command):
            assert flag in SIGNING, flag
    for flag in flags(compare_cli.compare_command):
        assert flag in SIGNIFICANCE, flag


def test_the_numbers_on_the_pages_are_those_of_the_code() -> None:
    for number in (MARGIN_NATS, WRITTEN_P, PRACTISED_P, SEED_SD_NATS):
        assert re.search(rf"(?<![\d.]){number}(?!\d)", SIGNIFICANCE), number
    for number in (MAX_ENVELOPE_BYTES, keys.MAX_KEY_FILE_BYTES):
        assert f"{number:,}" in SIGNING
    for name in (attestation.PAYLOAD_TYPE, attestation.STATEMENT_TYPE, attestation.PREDICATE_TYPE):
        assert f'"{name}"' in SIGNING


def test_the_ten_lines_on_the_page_read_a_signed_report() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", SIGNING, re.DOTALL)
    assert len([line for line in source.splitlines() if line.strip()]) <= 10
    names: dict[str, object] = {}
    exec(compile(source, "docs/signing.md", "exec"), names)
    key, report = keys.new_key(), accepted("entry")
    envelope = attestation.sign(report, key)
    assert names["read"](envelope, key.public.to_pem()) == json.loads(report.to_bytes())  # type: ignore[operator]
    with pytest.raises(InvalidSignature):
        names["read"](envelope, keys.new_key().public.to_pem())  # type: ignore[operator]
