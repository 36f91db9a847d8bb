"""Artifacts as blobs, named by their digest, in a folder or in S3: written once, never changed, checked when read.

What `put` has returned from survives a power cut: in a folder the file and its folder are synced, in S3 that is the
service's promise. A blob that does not have its digest any more is moved aside, so that the next upload heals it.
"""

import asyncio
import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

PREFIX: Final = "sha256"
BROKEN_PREFIX: Final = "broken"
MAX_RETRIES: Final = 3
RETRY_SECONDS: Final = 10
"""Of a request to S3. obstore's own ten in three minutes are longer than a client of ours waits for his 503."""
UNFINISHED: Final = re.compile(r"[0-9a-f]{64}#[0-9]+")
"""What obstore calls a file that is being written, before it gets its name."""
UNFINISHED_SECONDS: Final = 3600.0
"""No upload takes so long."""
STORE_AWAY: Final = (BaseError, OSError)
"""What `put` and `get` raise when the store cannot be asked, as opposed to `BlobError`."""


class BlobError(RuntimeError):
    """A blob cannot be given; safe to show."""

    code = "blob-error"


class BlobBroken(BlobError):
    """The stored bytes are not the ones that were put."""

    code = "blob-broken"


class BlobMissing(BlobError):
    """There is no blob of that digest."""

    code = "blob-missing"


class Blobs:
    """The blobs under one address.

    Laws: after `put(sha256(d), d)`, `get(sha256(d)) == d`; a second `put` changes nothing.
    """

    def __init__(self, url: str) -> None:
        """`url` is `file:///folder` (made when missing) or `s3://bucket/prefix`."""
        self._folder = Path(unquote(urlsplit(url).path)) if url.startswith("file:") else None
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # no client_options: given some, obstore forgets those of the environment (AWS_ALLOW_HTTP among them)
        self._store = (
            from_url(url)
            if self._folder
            else from_url(
                url, retry_config={"max_retries": MAX_RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
            )
        )

    async def put(self, digest: str, data: bytes) -> None:
        """Keep `data` under its SHA-256.

        Raises:
            OSError: the disk is full or cannot be written.
            obstore.exceptions.BaseError: the service refuses or is away.
        """
        key = f"{PREFIX}/{digest}"
        with _system_faults():
            try:
                await obstore.put_async(self._store, key, data, mode="create")
            except AlreadyExistsError:
                if await self._is_torn(digest, len(data)):
                    await obstore.put_async(self._store, key, data, mode="overwrite")
        if self._folder:  # also where it was there: whoever put it may not have come to this line
            await asyncio.to_thread(_sync, self._folder / key)

    async def get(self, digest: str) -> bytes:
        """The bytes of that SHA-256.

        Raises:
            BlobMissing, BlobBroken: they are not there any more, or are others.
            OSError: the disk cannot be read.
            obstore.exceptions.BaseError: the service refuses or is away.
        """
        key = f"{PREFIX}/{digest}"
        with _system_faults():
            try:
                found = await obstore.get_async(self._store, key)
            except FileNotFoundError:
                raise BlobMissing("the artifact's bytes are not in the store any more; submit the file again") from None
            data = bytes(await found.bytes_async())
            if await asyncio.to_thread(_sha256, data) != digest:
                await obstore.rename_async(self._store, key, f"{BROKEN_PREFIX}/{digest}", overwrite=True)
                raise BlobBroken("the artifact's stored bytes have changed; submit the file again")
            return data

    async def exists(self, digest: str) -> bool:
        """Whether a blob of that name is there."""
        try:
            await obstore.head_async(self._store, f"{PREFIX}/{digest}")
        except FileNotFoundError:
            return False
        return True

    def forget_unfinished(self, *, older_seconds: float = UNFINISHED_SECONDS) -> None:
        """Remove from a folder what processes that were killed in `put` have left in it; S3 keeps nothing of these."""
        if self._folder is None:
            return
        oldest = time.time() - older_seconds
        for path in (self._folder / PREFIX).glob("*#*"):
            with suppress(OSError):  # another process removes it as well, or it stays
                if UNFINISHED.fullmatch(path.name) and path.stat().st_mtime < oldest:
                    path.unlink()

    async def _is_torn(self, digest: str, size_bytes: int) -> bool:
        meta = await obstore.head_async(self._store, f"{PREFIX}/{digest}")
        return meta["size"] != size_bytes


@contextmanager
def _system_faults() -> Iterator[None]:
    """Let a fault of disk or network be an OSError with its number, which obstore only writes into its message."""
    try:
        yield
    except BaseError as error:
        found = re.search(r"\(os error (\d+)\)", str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sync(path: Path) -> None:
    """Make a new file and its name durable."""
    for place in (path, path.parent, path.parent.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
