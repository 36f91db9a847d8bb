"""Blobs in a folder and in an S3 (moto's): written once, checked when read, healed when broken."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.blobs import STORE_AWAY, BlobBroken, BlobMissing, Blobs
from api.settings import Settings
from tests.api.processes import ROOT
from tests.api.s3 import BUCKET, S3
from tests.api.service import running

DATA = b"an artifact" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An empty bucket; obstore reads endpoint and keys from the environment, as an operator sets them."""
    s3 = S3()
    s3.start()
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    yield s3
    s3.stop()


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return Blobs((tmp_path / "a folder").as_uri())
    request.getfixturevalue("s3")
    return Blobs(f"s3://{BUCKET}/pre/fix")


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


KILLED = f"""
import asyncio, resource, signal
from api.blobs import Blobs
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
asyncio.run(Blobs("URL").put("{DIGEST}", bytes({len(DATA)})))
"""
"""Dies while it writes."""


def test_what_a_process_that_was_killed_in_a_put_has_left_goes_with_a_start_an_hour_later(
    dsn: str, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path, database=dsn)
    blobs = Blobs(settings.blob_url)
    asyncio.run(blobs.put(DIGEST.replace("0", "1"), DATA))
    (kept,) = blobs_of(settings)
    killed = subprocess.run([sys.executable, "-c", KILLED.replace("URL", settings.blob_url)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGXFSZ
    (left,) = blobs_of(settings) - {kept}
    with running(settings):
        assert blobs_of(settings) == {kept, left}, "an upload of now, perhaps"
    for path in (kept, left):
        os.utime(path, (0, 0))
    with running(settings):
        assert blobs_of(settings) == {kept}


def blobs_of(settings: Settings) -> set[Path]:
    return set((settings.data / "blobs" / "sha256").iterdir())


def test_a_store_that_is_away_is_said_within_seconds(s3: S3) -> None:
    blobs = Blobs(f"s3://{BUCKET}")
    s3.stop()

    async def story() -> None:
        for asked in (blobs.put(DIGEST, DATA), blobs.get(DIGEST)):
            with pytest.raises(STORE_AWAY):
                await asyncio.wait_for(asked, 60)  # 0.3 s on a 2-core AMD EPYC; obstore's default is minutes

    asyncio.run(story())


def test_an_artifact_of_the_largest_size_goes_to_s3_in_one_piece_and_once(s3: S3) -> None:
    data = bytes(16_000_000)
    digest = hashlib.sha256(data).hexdigest()

    async def story() -> None:
        blobs = Blobs(f"s3://{BUCKET}")
        await blobs.put(digest, data)
        await blobs.put(digest, data)
        assert await blobs.get(digest) == data

    asyncio.run(story())
