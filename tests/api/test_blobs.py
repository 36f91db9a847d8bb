"""Blobs in a folder and in an S3 (moto's): written once, checked when read, healed when broken."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from api.blobs import BlobBroken, BlobMissing, Blobs

DATA = b"an artifact" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket; obstore reads endpoint and keys from the environment, as an operator sets them."""
    import httpx2

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    variables = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    httpx2.post(f"{endpoint}/moto-api/reset").raise_for_status()
    httpx2.put(f"{endpoint}/bucket").raise_for_status()
    try:
        yield "s3://bucket/pre/fix"
    finally:
        server.stop()


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    url = (tmp_path / "a folder").as_uri() if request.param == "folder" else request.getfixturevalue("s3")
    return Blobs(url)


def test_what_was_put_is_there_and_putting_it_again_changes_nothing(blobs: Blobs) -> None:
    async def story() -> None:
        assert not await blobs.exists(DIGEST)
        with pytest.raises(BlobMissing):
            await blobs.get(DIGEST)
        await blobs.put(DIGEST, DATA)
        await blobs.put(DIGEST, DATA)
        assert await blobs.exists(DIGEST)
        assert await blobs.get(DIGEST) == DATA

    asyncio.run(story())


def test_a_blob_that_is_another_is_refused_and_moved_aside(blobs: Blobs) -> None:
    async def story() -> None:
        await blobs.put(DIGEST, b"x" * len(DATA))
        with pytest.raises(BlobBroken):
            await blobs.get(DIGEST)
        assert not await blobs.exists(DIGEST)
        await blobs.put(DIGEST, DATA)
        assert await blobs.get(DIGEST) == DATA

    asyncio.run(story())


def test_a_torn_blob_is_written_anew(blobs: Blobs) -> None:
    async def story() -> None:
        await blobs.put(DIGEST, DATA[:7])
        await blobs.put(DIGEST, DATA)
        assert await blobs.get(DIGEST) == DATA

    asyncio.run(story())


def test_many_may_put_one_blob_at_once(blobs: Blobs) -> None:
    async def story() -> None:
        await asyncio.gather(*(blobs.put(DIGEST, DATA) for _ in range(8)))
        assert await blobs.get(DIGEST) == DATA

    asyncio.run(story())


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    Blobs((tmp_path / "blobs").as_uri())
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700
