"""Writes the pages that come from the code: `python -m tests.docs.write_reference`, part of `make golden`."""

from pathlib import Path

from tests.docs import cli_page, config_page, report_page

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"cli.md": cli_page.page, "config.md": config_page.page, "report.md": report_page.page}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
