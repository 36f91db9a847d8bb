"""The code that counts: the challenge limits artifact and code together, so what a reader needs to score is measured.

Counted are all of `artifact/` and the ruler: `verifier/scoring.py`, `verifier/bytes_table.py` and every file of this
package that these import. Size = len(zlib level 9 of, for each file in the order of its path, the path, a NUL, the
contents). It depends on the installed version and, by a few bytes, on the zlib build: a track may pin it.
"""

import zlib
from functools import cache
from pathlib import Path
from typing import Final

import artifact
import verifier

RULER: Final = (
    "atomic_file.py",
    "bytes_table.py",
    "data_errors.py",
    "numerics.py",
    "progress.py",
    "scoring.py",
    "sentencepiece_model.py",
    "shards.py",
    "target_nats.py",
    "tokenizer.py",
    "windows.py",
)
"""The scoring core; a test holds it against the imports."""


@cache
def counted_code_bytes() -> int:
    """The compressed size of the counted code of this installation, in bytes."""
    parts = (path.encode() + b"\0" + file.read_bytes() for path, file in sorted(counted_files().items()))
    return len(zlib.compress(b"".join(parts), 9))


def counted_files() -> dict[str, Path]:
    """Relative path -> file of everything that counts."""
    model, ruler = (Path(package.__path__[0]) for package in (artifact, verifier))
    files = {f"artifact/{file.relative_to(model).as_posix()}": file for file in model.rglob("*.py")}
    return files | {f"verifier/{name}": ruler / name for name in RULER}
