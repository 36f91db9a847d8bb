"""Ed25519 keys as values and as files: PEM, PKCS#8 for the private and SubjectPublicKeyInfo for the public half.

A key is known by its `keyid`, the SHA-256 of the DER form of its public half, so that anyone can compute it:
`openssl pkey -pubin -in KEY.pub -outform DER | sha256sum`. The arithmetic is the library's (`cryptography`); a private
key file is born with mode 0600 and is never overwritten.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from verifier.signing_errors import BadKey, BadSignature

SIGNATURE_BYTES: Final = 64
MAX_KEY_FILE_BYTES: Final = 4096
PRIVATE_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644
PRIVATE_HEADER: Final = b"-----BEGIN PRIVATE KEY-----"
PUBLIC_HEADER: Final = b"-----BEGIN PUBLIC KEY-----"


@dataclass(frozen=True, eq=False)  # no slots: keyid is computed once and kept
class PublicKey:
    """The half that verifies."""

    ed25519: Ed25519PublicKey = field(repr=False)

    @cached_property
    def keyid(self) -> str:
        """SHA-256 of the key's DER form, in hex."""
        return hashlib.sha256(self.ed25519.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    def to_pem(self) -> bytes:
        """The key as PEM text; law: `parse_public_key(k.to_pem()).keyid == k.keyid`."""
        return self.ed25519.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check that this key's other half signed `message`.

        Raises:
            BadSignature: it did not, or one of the two was changed.
        """
        try:
            self.ed25519.verify(signature, message)
        except InvalidSignature:
            expected = f"a signature of key {self.keyid} over this payload"
            raise BadSignature("envelope.signatures[0].sig", expected=expected, got="another") from None


@dataclass(frozen=True, slots=True, eq=False)
class PrivateKey:
    """The half that signs; its repr shows nothing."""

    ed25519: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The other half."""
        return PublicKey(self.ed25519.public_key())

    def to_pem(self) -> bytes:
        """The key as unencrypted PKCS#8 PEM text."""
        return self.ed25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`; the same message always has the same one (RFC 8032)."""
        return self.ed25519.sign(message)


def new_key() -> PrivateKey:
    """A key from the operating system's random numbers."""
    return PrivateKey(Ed25519PrivateKey.generate())


def public_path(path: Path) -> Path:
    """Where the public half of the private key file `path` lies."""
    return path.with_name(f"{path.name}.pub")


def write_key(path: Path, key: PrivateKey) -> None:
    """Write the private half to `path` (mode 0600) and the public half beside it, to `path` + ".pub".

    Raises:
        FileExistsError: one of the two files exists; nothing was changed.
        OSError: the folder cannot be written; nothing is left.
    """
    with _new_file(path, PRIVATE_MODE, key.to_pem()), _new_file(public_path(path), PUBLIC_MODE, key.public.to_pem()):
        pass


@contextmanager
def _new_file(path: Path, mode: int, data: bytes) -> Iterator[None]:
    """A file that did not exist, with this mode from its first moment; removed when the body or the writing fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield
    except BaseException:
        path.unlink()
        raise


def read_private_key(path: Path) -> PrivateKey:
    """Read a private key file.

    Raises:
        BadKey: it holds no private Ed25519 key.
        OSError: it cannot be read.
    """
    return parse_private_key(_read(path), where=str(path))


def read_public_key(path: Path) -> PublicKey:
    """Read a public key file.

    Raises:
        BadKey: it holds no public Ed25519 key.
        OSError: it cannot be read.
    """
    return parse_public_key(_read(path), where=str(path))


def parse_private_key(pem: bytes, *, where: str = "key") -> PrivateKey:
    """Make a private key of PEM text; `where` names it in errors.

    Raises:
        BadKey: it is none; the message never repeats the text.
    """
    expected = "an unencrypted Ed25519 private key (PEM, PKCS#8)"
    if pem.startswith(PUBLIC_HEADER):
        raise BadKey(where, expected=expected, got="a public key", next_step="signing takes the file without .pub")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: the key is encrypted
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(where, expected=expected, got="something else", next_step="`seedgolf key new` makes one")
    return PrivateKey(key)


def parse_public_key(pem: bytes, *, where: str = "key") -> PublicKey:
    """Make a public key of PEM text; `where` names it in errors.

    Raises:
        BadKey: it is none.
    """
    expected = "an Ed25519 public key (PEM)"
    if pem.startswith(PRIVATE_HEADER):
        got, next_step = "a private key", "give the .pub file beside it; a private key stays where it signs"
        raise BadKey(where, expected=expected, got=got, next_step=next_step)
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey(where, expected=expected, got="something else")
    return PublicKey(key)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_KEY_FILE_BYTES + 1)
    if len(data) > MAX_KEY_FILE_BYTES:
        raise BadKey(str(path), expected=f"a key file of at most {MAX_KEY_FILE_BYTES} bytes", got="a larger file")
    return data
