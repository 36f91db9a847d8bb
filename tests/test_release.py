"""The wheel and the sdist hold what they should, and install into an empty environment that then works."""

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "artifact", "trainer", "verifier")
SMOKE = ["--preset", "smoke", "--set", "budget.max_steps=2", "--set", "budget.train_seconds=0"]

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files_of_packages() -> Iterator[str]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, the wheel made from the sdist."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


def test_the_wheel_holds_the_packages_whole_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {*files_of_packages(), "seedgolf.py"}


def test_the_sdist_holds_what_the_tests_and_the_documents_need(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = (
        "Makefile",
        "constraints.txt",
        "mkdocs.yml",
        "action.yml",
        "action/submit.py",
        "docker/Dockerfile",
        "CHANGELOG.md",
    )
    assert {*wanted, *files_of_packages(), "attacks/catalogue.py", "tests/vectors/v1/ok-smallest.vector"} <= names


def test_an_empty_environment_with_the_wheel_trains_packs_and_verifies(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    python = venv / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "dependencies.pth").write_text(
        sysconfig.get_path("purelib")
    )  # a path, so its editable seedgolf is not taken

    where = run(python, "-c", "import artifact, api.app; print(artifact.__file__, api.__file__)", cwd=tmp_path)
    assert all(path.startswith(str(venv)) for path in where.split())
    command = venv / "bin" / "seedgolf"
    version = run(command, "--version", cwd=tmp_path)
    assert version.split()[-1] == wheel.name.split("-")[1]
    run(command, "train", *SMOKE, "--out", "run", cwd=tmp_path)
    report = run(command, "verify", "run/artifact.sgolf", "--valset-dir", tmp_path / "valsets", cwd=tmp_path)
    assert "accepted: val_bpb" in report
