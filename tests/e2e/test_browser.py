"""A reviewer's and a contestant's path in a real browser against a real server; skipped where there is no Chromium."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.service import Server, serving, tiny_entry, tiny_set

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

VERDICT_MILLISECONDS = 120_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve") / "data"
    tiny_set(folder)
    with serving(folder, workers=1) as running:
        yield running
    assert running.leftovers() == []


@pytest.fixture
def page(server: Server) -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = chromium.new_page(base_url=(server.folder / "address").read_text().strip())
        yield opened
        chromium.close()


def test_upload_by_the_form_follow_read_the_report_and_find_it_on_the_leaderboard(
    server: Server, page: Any, tmp_path: Path
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    name = "<b>bold</b> entry"
    artifact = tmp_path / "entry.sgolf"
    artifact.write_bytes(tiny_entry(name))

    page.goto("/login")
    page.fill("input[name=token]", (server.folder / "admin-token").read_text().strip())
    page.click("main button")
    page.goto("/")
    page.set_input_files("input[name=file]", artifact)
    page.select_option("select[name=valset]", "tiny")
    page.click("text=Verify")

    assert re.search(r"/verify/[0-9a-f]{64}$", page.url)
    page.click("text=Read the report", timeout=VERDICT_MILLISECONDS)  # the page follows by itself until it is there
    shown = page.inner_text("main")
    assert "accepted: val_bpb" in shown
    assert name in shown, "the name is text, not markup"
    assert all(word in shown for word in ("measured", "claimed", "attested", "Where the bytes went", "Signature"))

    page.goto("/leaderboard")
    assert name in page.inner_text("main table")
    assert complaints == []
