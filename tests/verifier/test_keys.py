"""Key files: their mode, their form, what is refused, and the signature scheme against RFC 8032."""

import hashlib
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from verifier.keys import (
    MAX_KEY_FILE_BYTES,
    PrivateKey,
    new_key,
    parse_private_key,
    parse_public_key,
    public_path,
    read_private_key,
    read_public_key,
    write_key,
)
from verifier.signing_errors import BadKey, BadSignature

# RFC 8032, section 7.1, TEST 2
RFC_SECRET = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
RFC_PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
RFC_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def rfc_key() -> PrivateKey:
    return PrivateKey(ed25519.Ed25519PrivateKey.from_private_bytes(RFC_SECRET))


def test_a_signature_is_that_of_rfc_8032() -> None:
    key = rfc_key()
    assert key.sign(b"\x72") == RFC_SIGNATURE
    key.public.verify(RFC_SIGNATURE, b"\x72")
    with pytest.raises(BadSignature):
        key.public.verify(RFC_SIGNATURE, b"\x73")


def test_the_keyid_is_the_sha256_of_the_der_form() -> None:
    der = bytes.fromhex("302a300506032b6570032100") + RFC_PUBLIC
    assert rfc_key().public.keyid == hashlib.sha256(der).hexdigest()


def test_openssl_computes_the_same_keyid(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_key(path, rfc_key())
    command = ["openssl", "pkey", "-pubin", "-in", str(public_path(path)), "-outform", "DER"]
    try:
        der = subprocess.run(command, check=True, capture_output=True).stdout
    except FileNotFoundError:
        pytest.skip("no openssl here")
    assert hashlib.sha256(der).hexdigest() == rfc_key().public.keyid


def test_a_key_comes_back_from_its_files_as_it_was(tmp_path: Path) -> None:
    path, key = tmp_path / "key.pem", new_key()
    write_key(path, key)
    assert read_private_key(path).to_pem() == key.to_pem()
    assert read_public_key(public_path(path)).keyid == key.public.keyid
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")


def test_only_the_owner_may_read_a_private_key(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_key(path, new_key())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(public_path(path).stat().st_mode) & 0o022 == 0


def test_a_private_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        write_key(path, new_key())
    assert path.read_text() == "precious"
    assert not public_path(path).exists()


def test_no_private_key_is_left_when_the_public_file_is_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    public_path(path).write_text("precious")
    with pytest.raises(FileExistsError):
        write_key(path, new_key())
    assert not path.exists()
    assert public_path(path).read_text() == "precious"


def test_neither_half_shows_itself() -> None:
    key = rfc_key()
    assert RFC_SECRET.hex() not in repr(key)
    assert "PRIVATE" not in repr(key)


def foreign_pems() -> dict[str, tuple[bytes, bytes]]:
    curve = ec.generate_private_key(ec.SECP256R1())
    forms = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    encrypted = rfc_key().ed25519.private_bytes(*forms, serialization.BestAvailableEncryption(b"secret"))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    return {
        "empty": (b"", b""),
        "text": (b"not a key", b"not a key"),
        "noise": (bytes(range(256)), bytes(range(256))),
        "cut": (rfc_key().to_pem()[:80], rfc_key().public.to_pem()[:60]),
        "encrypted": (encrypted, b""),
        "another curve": (
            curve.private_bytes(*forms, serialization.NoEncryption()),
            curve.public_key().public_bytes(serialization.Encoding.PEM, public),
        ),
        "the other half": (rfc_key().public.to_pem(), rfc_key().to_pem()),
    }


@pytest.mark.parametrize("name", foreign_pems())
def test_what_is_no_ed25519_key_is_refused_by_name(name: str) -> None:
    private, public = foreign_pems()[name]
    with pytest.raises(BadKey, match=r"\Akey.pem: expected an unencrypted Ed25519 private key"):
        parse_private_key(private, where="key.pem")
    with pytest.raises(BadKey, match=r"\Akey.pub: expected an Ed25519 public key"):
        parse_public_key(public, where="key.pub")


def test_a_huge_key_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.pem"
    path.write_bytes(rfc_key().to_pem() + b"\n" * MAX_KEY_FILE_BYTES)
    with pytest.raises(BadKey, match="at most 4096 bytes"):
        read_private_key(path)
