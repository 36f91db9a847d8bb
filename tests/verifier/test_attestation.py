"""Signed reports: what is signed, what a change does, and the commands around it."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from tests.verifier.judged import accepted, digest, rejected
from verifier import attestation
from verifier.attestation import PAYLOAD_TYPE
from verifier.dsse import seal, unseal
from verifier.keys import new_key
from verifier.report import parse
from verifier.signing_cli import key as key_group
from verifier.signing_cli import report as report_group
from verifier.signing_errors import ArtifactMismatch, BadSignature, BadStatement, SigningError

KEY = new_key()
REPORT = accepted("entry")


def fields() -> dict[str, object]:
    parsed: dict[str, object] = json.loads(attestation.statement(REPORT))
    return parsed


def sealed(statement: object) -> bytes:
    return seal(json.dumps(statement).encode(), PAYLOAD_TYPE, KEY)


def test_a_report_comes_back_from_its_envelope_as_it_was() -> None:
    for judged in (REPORT, rejected("too large"), accepted("bfloat16", val_loss=1e-9, score__val_bpb=3.25e-7)):
        found = attestation.verify(attestation.sign(judged, KEY), [KEY.public])
        assert found.report == judged
        assert found.report.to_bytes() == judged.to_bytes()
        assert found.keyid == KEY.public.keyid


def test_the_statement_is_in_totos_and_names_the_artifact() -> None:
    statement = json.loads(unseal(attestation.sign(REPORT, KEY), PAYLOAD_TYPE, [KEY.public]).payload)
    assert list(statement) == ["_type", "subject", "predicateType", "predicate"]
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "entry", "digest": {"sha256": REPORT.artifact.sha256}}]
    assert statement["predicateType"] == "urn:seedgolf:report:1"
    assert statement["predicate"] == json.loads(REPORT.to_bytes())


def test_another_implementation_verifies_and_reads_a_signed_report() -> None:
    envelope = Envelope.from_dict(json.loads(attestation.sign(REPORT, KEY)))
    envelope.verify([SSlibKey.from_crypto(KEY.public.ed25519, keyid=KEY.public.keyid)], threshold=1)
    assert envelope.payload_type == "application/vnd.in-toto+json"
    assert json.loads(envelope.payload)["predicate"]["score"]["val_loss"] == 2.0


def test_signing_twice_gives_the_same_bytes() -> None:
    assert attestation.sign(REPORT, KEY) == attestation.sign(REPORT, KEY)


def test_the_payload_is_kept_as_it_was_signed() -> None:
    spaced = json.dumps(fields(), indent=3).encode()
    found = attestation.verify(seal(spaced, PAYLOAD_TYPE, KEY), [KEY.public])
    assert found.payload == spaced
    assert found.report == REPORT


def test_a_change_in_any_part_of_a_signed_report_is_caught() -> None:
    raw = attestation.sign(REPORT, KEY)
    for offset in range(0, len(raw), 97):
        changed = raw[:offset] + bytes([raw[offset] ^ 1]) + raw[offset + 1 :]
        with pytest.raises(SigningError):
            attestation.verify(changed, [KEY.public])


def test_a_better_score_under_the_old_signature_is_a_bad_signature() -> None:
    better = json.loads(attestation.sign(accepted("entry", val_loss=1.0), KEY))
    envelope = json.loads(attestation.sign(REPORT, KEY)) | {"payload": better["payload"]}
    with pytest.raises(BadSignature):
        attestation.verify(json.dumps(envelope, separators=(",", ":")).encode(), [KEY.public])


WRONG_STATEMENTS = {
    "no json": b"",
    "a list": [],
    "another statement type": fields() | {"_type": "https://in-toto.io/Statement/v0.1"},
    "another predicate": fields() | {"predicateType": "https://slsa.dev/provenance/v1"},
    "a later report": fields() | {"predicateType": "urn:seedgolf:report:2"},
    "no subject": fields() | {"subject": []},
    "two subjects": fields() | {"subject": [{"name": "a", "digest": {"sha256": "0" * 64}}] * 2},
    "another subject": fields() | {"subject": [{"name": "entry", "digest": {"sha256": digest("other")}}]},
    "a digest in capitals": fields() | {"subject": [{"name": "entry", "digest": {"sha256": "A" * 64}}]},
    "a field more": fields() | {"extra": 1},
    "a report with a field more": fields() | {"predicate": json.loads(REPORT.to_bytes()) | {"extra": 1}},
    "an inconsistent report": fields() | {"predicate": json.loads(REPORT.to_bytes()) | {"verdict": "rejected"}},
}


@pytest.mark.parametrize("name", WRONG_STATEMENTS)
def test_a_signed_payload_that_is_no_report_is_refused(name: str) -> None:
    wrong = WRONG_STATEMENTS[name]
    raw = seal(wrong, PAYLOAD_TYPE, KEY) if isinstance(wrong, bytes) else sealed(wrong)
    with pytest.raises(BadStatement, match=r"\Astatement"):
        attestation.verify(raw, [KEY.public])


def test_a_report_speaks_of_one_file_only() -> None:
    found = attestation.verify(attestation.sign(REPORT, KEY), [KEY.public])
    found.check_artifact(REPORT.artifact.sha256)
    with pytest.raises(ArtifactMismatch):
        found.check_artifact(digest("other"))


def test_signing_and_comparing_never_reach_torch() -> None:
    code = "import sys, verifier.signing_cli, verifier.compare_cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def run(group: object, *args: object) -> Result:
    return CliRunner().invoke(group, [str(arg) for arg in args])  # type: ignore[arg-type]


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A folder with an artifact, its report, a key, and the signed report."""
    (tmp_path / "entry.sgolf").write_bytes(b"artifact")
    judged = accepted("entry", artifact__sha256="c7c5c1d70c5dec4416ab6158afd0b223ef40c29b1dc1f97ed9428b94d4cadb1c")
    (tmp_path / "report.json").write_bytes(judged.to_bytes())
    assert run(key_group, "new", "--out", tmp_path / "key.pem").exit_code == 0
    done = run(report_group, "sign", tmp_path / "report.json", "--key", tmp_path / "key.pem")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "report.dsse").exists()
    return tmp_path


def test_the_commands_make_a_key_sign_and_verify(signed: Path) -> None:
    args = (signed / "report.dsse", "--key", signed / "key.pem.pub")
    done = run(report_group, "verify", *args, "--artifact", signed / "entry.sgolf")
    assert done.exit_code == 0, done.output
    assert "signature  holds" in done.output
    assert "verdict    accepted, track local" in done.output
    assert "val_loss 2.000000" in done.output
    as_json = run(report_group, "verify", *args, "--json")
    assert parse(as_json.stdout_bytes) == parse((signed / "report.json").read_bytes())


def test_a_second_key_command_does_not_touch_the_first_key(signed: Path) -> None:
    before = (signed / "key.pem").read_bytes()
    done = run(key_group, "new", "--out", signed / "key.pem")
    assert done.exit_code == 2
    assert "File exists" in done.output
    assert (signed / "key.pem").read_bytes() == before


def test_what_does_not_hold_ends_in_one_line_and_exit_code_1_and_a_wrong_key_file_in_2(signed: Path) -> None:
    envelope, public = signed / "report.dsse", signed / "key.pem.pub"
    run(key_group, "new", "--out", signed / "other.pem")
    changed = json.loads(envelope.read_bytes())
    signature = bytearray(base64.b64decode(changed["signatures"][0]["sig"]))
    signature[0] ^= 1
    changed["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    (signed / "changed.dsse").write_text(json.dumps(changed, separators=(",", ":")))
    cases = {
        "unknown-key": (envelope, "--key", signed / "other.pem.pub"),
        "bad-key": (envelope, "--key", signed / "key.pem"),
        "bad-envelope": (signed / "report.json", "--key", public),
        "artifact-mismatch": (envelope, "--key", public, "--artifact", signed / "report.json"),
        "bad-signature": (signed / "changed.dsse", "--key", public),
    }
    for code, args in cases.items():
        done = run(report_group, "verify", *args)
        assert done.exit_code == (2 if code == "bad-key" else 1)
        assert done.output.startswith(f"Error: {code}: "), done.output
        assert done.output.count("\n") == 1


def test_only_a_report_is_signed(signed: Path) -> None:
    for path in (signed / "entry.sgolf", signed / "report.dsse"):
        done = run(report_group, "sign", path, "--key", signed / "key.pem", "--out", signed / "out")
        assert done.exit_code == 2
        assert done.output.startswith("Error: bad-report: ")
        assert not (signed / "out").exists()
