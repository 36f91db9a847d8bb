"""Coverage-guided fuzzing of the reader (`make fuzz`): any bytes give a value or an ArtifactError.

The first byte chooses what the rest is: a whole file, a manifest, a zlib stream or an inner file. What stands around
it is made to fit, so that the deepest checks are reached. `write(read(b)) == b` is checked for whatever is accepted.
"""

import hashlib
import sys
import zlib
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

with atheris.instrument_imports(include=["artifact"]):
    import artifact
    from artifact.format import canonical

from tests.forge import MAGIC, Draft
from tests.vectors import make

INNER = Draft().inner()
GOOD = Draft().build()
MANIFEST = GOOD[16 : 16 + int.from_bytes(GOOD[12:16], "little")]
DIGEST = hashlib.sha256(INNER).hexdigest().encode()
STREAM = zlib.compress(INNER, 1)


def framed(manifest: bytes, stream: bytes) -> bytes:
    """A file whose lengths fit."""
    head = MAGIC + b"\1\0\0\0" + len(manifest).to_bytes(4, "little")
    return head + manifest + len(stream).to_bytes(4, "little") + stream


def as_file(data: bytes) -> bytes:
    """The fuzzer's bytes as (part of) a file."""
    kind, rest = data[0] % 4, data[1:]
    if kind == 0:
        return rest
    if kind == 1:
        return framed(rest, STREAM)
    if kind == 2:
        return framed(MANIFEST, rest)
    inner = rest[: len(INNER)].ljust(len(INNER), b"\0")
    return framed(MANIFEST.replace(DIGEST, hashlib.sha256(inner).hexdigest().encode()), zlib.compress(inner, 1))


def check(data: bytes) -> None:
    """One input."""
    if not data:
        return
    file = as_file(data)
    try:
        found = artifact.read(file)
    except artifact.ArtifactError as error:
        str(error)
        if data[0] % 4 == 1:
            check_canonical(data[1:])
        return
    if artifact.write(found) != file:
        raise AssertionError("write(read(b)) != b")


def check_canonical(raw: bytes) -> None:
    """Canonical JSON alone, so that the schema does not hide it."""
    try:
        value = canonical.loads(raw)
    except artifact.ArtifactError:
        return
    if canonical.dumps(value) != raw:
        raise AssertionError("dumps(loads(b)) != b")


def write_seeds(folder: Path) -> None:
    """The vector kit as starting corpus, in all four kinds."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in make.FOLDER.glob("*.vector"):
        data = make.parse(path.read_bytes())[1]
        length = int.from_bytes(data[12:16], "little")
        (folder / path.stem).write_bytes(b"\0" + data)
        (folder / f"{path.stem}-manifest").write_bytes(b"\1" + data[16 : 16 + length])
        (folder / f"{path.stem}-stream").write_bytes(b"\2" + data[20 + length :])
    (folder / "inner").write_bytes(b"\3" + INNER)


def main() -> None:
    """Run libFuzzer; the corpus grows in ./fuzz-corpus."""
    folder = Path("fuzz-corpus")
    write_seeds(folder)
    atheris.Setup([sys.argv[0], str(folder), "-max_len=8192", "-timeout=5", "-rss_limit_mb=2048", *sys.argv[1:]], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
