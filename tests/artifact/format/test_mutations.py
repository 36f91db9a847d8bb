"""Any bytes give a value or an ArtifactError, in bounded time: random damage to valid files."""

import hashlib
import random
import struct
import time
import zlib
from collections import Counter
from pathlib import Path

import pytest

import artifact
from tests.forge import Draft
from tests.vectors import make

NUM_MUTATIONS = 24_000
PARTS = 8
SECONDS_AT_MOST = 1.0
"""Of process time, so that a busy machine does not count."""


def valid_files() -> list[bytes]:
    return [make.parse(path.read_bytes())[1] for path in sorted(make.FOLDER.glob("ok-*.vector"))]


def damage(data: bytes, rng: random.Random) -> bytes:
    """One to four edits: flip, replace, insert, delete, duplicate or move bytes."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, span = rng.randrange(len(result) + 1), rng.choice([1, 1, 1, 2, 4, 8, 64])
        kind = rng.randrange(6)
        if kind == 0 and at < len(result):
            result[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            result[at : at + span] = rng.randbytes(span)
        elif kind == 2:
            result[at:at] = rng.choice([b"\0", b'"', b"{", b"1", rng.randbytes(span)])
        elif kind == 3:
            del result[at : at + span]
        elif kind == 4:
            result[at:at] = result[at : at + span]
        else:
            other = rng.randrange(len(result) + 1)
            result[at : at + span], result[other : other + span] = (
                result[other : other + span],
                result[at : at + span],
            )
    return bytes(result)


def rewrap(inner: bytes, manifest: bytes) -> bytes:
    """A file around a damaged inner file, with digests and lengths that fit, so that the deepest checks see it."""
    old = make.json.loads(manifest)
    fields = {"inflated_bytes": old["payload"]["inflated_bytes"], "sha256": hashlib.sha256(inner).hexdigest()}
    return Draft(manifest=old, inflated=inner, payload_fields=fields).build()


def outcome(data: bytes) -> str:
    """The code that `read` gives; anything but a value or an ArtifactError escapes."""
    start = time.process_time()
    try:
        artifact.read(data)
    except artifact.ArtifactError as error:
        code, message = error.code, str(error)
    else:
        code, message = "accepted", ""
    assert message.isprintable()
    assert time.process_time() - start < SECONDS_AT_MOST
    return code


@pytest.mark.parametrize("part", range(PARTS))
def test_mutated_files_give_a_value_or_an_artifact_error(part: int) -> None:
    rng, files = random.Random(part), valid_files()
    seen: Counter[str] = Counter()
    for number in range(NUM_MUTATIONS // PARTS):
        data = rng.choice(files)
        if number % 3 == 0:
            length = struct.unpack_from("<I", data, 12)[0]
            inner = zlib.decompress(data[20 + length :])
            mutated = damage(inner, rng)[: len(inner)].ljust(len(inner), b"\0")
            seen[outcome(rewrap(mutated, data[16 : 16 + length]))] += 1
        else:
            seen[outcome(damage(data, rng))] += 1
    assert sum(seen.values()) == NUM_MUTATIONS // PARTS
    assert len(seen) >= 10, f"the damage reaches only {sorted(seen)}"


def test_no_vector_takes_long() -> None:
    for path in sorted(Path(make.FOLDER).glob("*.vector")):
        outcome(make.parse(path.read_bytes())[1])
