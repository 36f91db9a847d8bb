"""The key that this machine's workers sign with: made when it is missing, by one process only; replaced on wish.

Old reports need old public halves: they stay in the table of keys, whatever happens to the file.
"""

import os
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from verifier.keys import PrivateKey, new_key, public_path, read_private_key, write_key

FOLDER_MODE: Final = 0o700


class Keyring:
    """The key that a process signs with, read again when another has been put in its place."""

    def __init__(self, path: Path) -> None:
        """Read or make the key; raises as `load_or_make`."""
        self.path = path
        self.key = load_or_make(path)

    def renew(self) -> None:
        """Read the file again; raises as `load_or_make`."""
        self.key = load_or_make(self.path)


class Rotation(NamedTuple):
    """The key before and the key after."""

    old: PrivateKey
    new: PrivateKey


def load_or_make(path: Path) -> PrivateKey:
    """The key in the file, which is made when there is none; of several processes that make it at once, one wins.

    Raises:
        BadKey: the file holds no private Ed25519 key.
        OSError: it cannot be read or written.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-key-") as scratch:
            made = Path(scratch) / path.name
            write_key(made, new_key())
            try:
                path.hardlink_to(made)
            except FileExistsError:
                pass
            else:
                public_path(made).replace(public_path(path))
    return read_private_key(path)


def rotate(path: Path) -> Rotation:
    """Put a new key in the file's place; the old one stays beside it under its keyid.

    Raises:
        BadKey: the file holds no private Ed25519 key.
        OSError: it cannot be read or written.
    """
    old = read_private_key(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-key-") as scratch:
        made = Path(scratch) / path.name
        write_key(made, new_key())
        kept = path.with_name(f"{path.name}.{old.public.keyid[:16]}")
        if not kept.exists():
            kept.hardlink_to(path)
        os.replace(made, path)  # noqa: PTH105 - atomic, said plainly
        os.replace(public_path(made), public_path(path))  # noqa: PTH105 - as above
    return Rotation(old=old, new=read_private_key(path))
