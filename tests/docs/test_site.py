"""The documentation builds as a site, strictly: internal links and anchors lead somewhere, and nothing is fetched."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    # never --quiet: mkdocs then counts no warnings, and --strict passes everything
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_built_without_a_warning(site: Path) -> None:
    written = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    built = {path.relative_to(site) for path in site.rglob("*.html")}
    assert written <= built


def test_a_page_of_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    page = (site / "index.html").read_text()
    fetched = re.findall(r"<(?:script|img|link)\b[^>]*\b(?:src|href)=\"(https?:[^\"]*)\"", page)
    assert [address for address in fetched if "canonical" not in address] == []


def test_every_table_of_results_has_its_row_under_experiments() -> None:
    page = (DOCS / "experiments.md").read_text()
    missing = [path.name for path in sorted((DOCS / "results").glob("*.md")) if f"(results/{path.name})" not in page]
    assert missing == []
