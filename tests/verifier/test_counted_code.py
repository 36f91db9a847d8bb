import ast
import zlib
from pathlib import Path

from tests.verifier.entries import Arena
from verifier.counted_code import RULER, counted_code_bytes, counted_files

ROOT = Path(__file__).parents[2]


def test_the_counted_ruler_is_scoring_and_bytes_table_with_all_that_they_import() -> None:
    found, todo = set(), ["scoring.py", "bytes_table.py", "numerics.py"]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += imports_of(ROOT / "verifier" / name)
    assert sorted(found) == list(RULER)


def imports_of(file: Path) -> list[str]:
    """The files of `verifier` that a file imports."""
    tree = ast.parse(file.read_text())
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    assert "verifier" not in modules, "a form of import that this test does not follow"
    return [f"{module.removeprefix('verifier.')}.py" for module in modules if module.startswith("verifier.")]


def test_the_size_is_that_of_sorted_paths_and_contents_under_zlib_9() -> None:
    paths = sorted(
        [path.relative_to(ROOT).as_posix() for path in (ROOT / "artifact").rglob("*.py")]
        + [f"verifier/{name}" for name in RULER]
    )
    joined = b"".join(path.encode() + b"\0" + (ROOT / path).read_bytes() for path in paths)
    assert sorted(counted_files()) == paths
    assert counted_code_bytes() == len(zlib.compress(joined, 9))


def test_a_track_may_pin_the_size(arena: Arena) -> None:
    pinned = arena.track.model_copy(update={"counted_code_bytes": 12_345})
    size = arena.judge(arena.entry(), track=pinned).size
    assert (size.code_bytes, size.total_bytes) == (12_345, len(arena.entry()) + 12_345)
