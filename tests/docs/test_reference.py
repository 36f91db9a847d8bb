"""The pages keep up with the code: generated ones are up to date, and settings, codes and commands are all there."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from api.blobs import BlobBroken, BlobMissing
from api.settings import PREFIX, Settings
from api.store.transitions import WORKER_LOST
from api.verifying import INTERNAL_ERROR, VALSET_MISSING
from seedgolf import main
from tests.docs.cli_page import commands
from tests.docs.write_reference import DOCS, PAGES
from verifier.errors import ERRORS, Code
from verifier.tracks import parse_track

COMMANDS = {context.command_path: context.command for context in commands(click.Context(main, info_name="seedgolf"))}
PAGES_OF_PEOPLE = [*DOCS.glob("*.md"), *(DOCS.parent / name for name in ("README.md", "CONTRIBUTING.md"))]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run `make golden` and read the difference"


def test_every_setting_of_the_service_stands_on_its_page_and_no_other() -> None:
    page = (DOCS / "settings.md").read_text()
    rows = re.findall(rf"^\| `{PREFIX}(\w+)` \| (.*?) \|", page, re.MULTILINE)
    assert [name.lower() for name, _ in rows] == list(Settings.model_fields)
    for name, default in rows:
        value = Settings.model_fields[name.lower()].default
        if isinstance(value, int | str):
            assert default == f"`{str(value).lower()}`", name


@pytest.mark.parametrize("package", ["artifact", "verifier", "trainer"])
def test_every_error_code_stands_on_the_page_of_errors(package: str) -> None:
    page = (DOCS / "errors.md").read_text()
    sources = "".join(path.read_text() for path in (DOCS.parent / package).rglob("*.py"))
    codes = set(re.findall(r'^    code(?:: [^=]+)? = "([a-z-]+)"$', sources, re.MULTILINE))
    assert len(codes) > 5
    assert sorted(code for code in codes if f"| `{code}` |" not in page) == []


def test_every_code_of_a_failed_job_stands_on_the_page_of_errors() -> None:
    page = (DOCS / "errors.md").read_text()
    codes = [
        *(error.code for error in ERRORS),
        WORKER_LOST,
        VALSET_MISSING,
        INTERNAL_ERROR,
        BlobBroken.code,
        BlobMissing.code,
    ]
    assert [code for code in codes if f"| `{code}` |" not in page] == []


def test_every_code_of_a_failed_check_stands_on_the_page_of_errors() -> None:
    page = (DOCS / "errors.md").read_text()
    assert [code for code in Code if f"| `{code}` |" not in page] == []


def written_commands() -> Iterator[tuple[str, str]]:
    """Every `seedgolf ...` line of a code block, with its page."""
    for path in PAGES_OF_PEOPLE:
        for line in re.findall(r"^ {4,}(.*\bseedgolf .*)$", path.read_text(), re.MULTILINE):
            for part in re.split(r"&&|\||;", line.partition(" #")[0]):
                if found := re.search(r"(?:^|\s|/|-m )(seedgolf [a-z].*)", part.rstrip("\\ ")):
                    yield path.name, found[1]


@pytest.mark.parametrize(("page", "line"), sorted(set(written_commands())))
def test_a_command_on_a_page_exists_with_its_options(page: str, line: str) -> None:
    words = shlex.split(re.split(r"\s{2,}|\s>", line)[0].removesuffix(" &"))
    names = [" ".join(words[:count]) for count in (3, 2) if " ".join(words[:count]) in COMMANDS]
    assert names, f"{page}: {line}"
    known = {option for parameter in COMMANDS[names[0]].params for option in parameter.opts} | {"--help"}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("path", [path for path in COMMANDS if path.count(" ") == 2])
def test_the_first_line_of_a_commands_help_fits_the_list_of_its_group(path: str) -> None:
    line = COMMANDS[path].get_short_help_str(60)
    assert not line.endswith("..."), line


def test_the_track_on_the_page_is_a_track() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (DOCS / "own-track.md").read_text(), re.DOTALL)
    assert parse_track(text.encode()).name == "small"
