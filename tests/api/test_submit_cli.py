"""`seedgolf submit` where no server is needed: the check before the upload, and what is missing."""

from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner, Result

from api.client_errors import Refused
from api.submit_cli import _told, submit
from tests.forge import Draft
from verifier.report import parse


@pytest.fixture(autouse=True)
def no_server_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SEEDGOLF_SERVER", "SEEDGOLF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SEEDGOLF_DATA", str(tmp_path / "nothing"))


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    file = tmp_path / "entry.sgolf"
    file.write_bytes(Draft().build())
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(submit, [str(argument) for argument in arguments])


def test_a_damaged_file_is_rejected_before_any_server_is_looked_for(artifact: Path, tmp_path: Path) -> None:
    artifact.write_bytes(artifact.read_bytes()[:-1])
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    result = run(artifact, "--json", "--summary", summary)
    assert result.exit_code == 1
    assert "before any upload" in result.stderr
    report = parse(result.stdout.encode())
    assert report.verdict == "rejected"
    assert summary.read_text().startswith("before\n")
    assert str(report.code) in summary.read_text()


def test_without_a_server_the_command_says_how_to_name_one(artifact: Path) -> None:
    result = run(artifact)
    assert result.exit_code == 2
    assert "--server" in result.stderr
    assert "seedgolf serve" in result.stderr


def test_without_a_token_the_command_says_where_to_put_one(artifact: Path) -> None:
    result = run(artifact, "--server", "http://127.0.0.1:9")
    assert result.exit_code == 2
    assert "SEEDGOLF_TOKEN" in result.stderr


def test_a_token_of_this_machine_goes_to_this_machines_server_only(artifact: Path, tmp_path: Path) -> None:
    data = tmp_path / "nothing"
    data.mkdir()
    (data / "admin-token").write_text("sg_secret\n")
    (data / "address").write_text("http://127.0.0.1:9\n")
    result = run(artifact, "--server", "http://golf.example.org")
    assert result.exit_code == 2
    assert "no token" in result.stderr


def test_a_server_that_does_not_answer_is_no_verdict(artifact: Path) -> None:
    result = run(artifact, "--server", "http://127.0.0.1:9", "--token", "sg_x")
    assert result.exit_code == 3
    assert "http://127.0.0.1:9: the server does not answer" in result.stderr
    assert "Traceback" not in result.output


def test_nothing_is_sent_for_a_summary_that_has_no_place_to_go(artifact: Path, tmp_path: Path) -> None:
    summary = tmp_path / "no folder" / "summary.md"
    result = run(artifact, "--server", "http://127.0.0.1:9", "--token", "sg_x", "--summary", str(summary))
    assert result.exit_code == 2
    assert "can't write" in result.stderr


@pytest.mark.parametrize("seconds", ["nan", "inf", "0", "-1"])
def test_a_wait_without_an_end_is_no_time(artifact: Path, seconds: str) -> None:
    result = run(artifact, "--server", "http://127.0.0.1:9", "--token", "sg_x", "--wait-seconds", seconds)
    assert result.exit_code == 2
    assert "--wait-seconds" in result.stderr


@pytest.mark.parametrize("server", ["golf.example.org", "ftp://golf.example.org", "http:"])
def test_an_address_that_is_none_is_said(artifact: Path, server: str) -> None:
    result = run(artifact, "--server", server, "--token", "sg_x")
    assert result.exit_code == 2
    assert f"expected http://HOST:PORT or https://HOST, got '{server}'" in result.stderr


@pytest.mark.parametrize(("status", "exit_code"), [(401, 2), (422, 2), (408, 3), (429, 3), (500, 3), (503, 3)])
def test_an_upload_that_may_go_well_the_next_time_is_no_verdict_and_a_wrong_one_is_usage(
    status: int, exit_code: int
) -> None:
    with pytest.raises(ClickException) as raised, _told("http://golf.example.org"):
        raise Refused(status, "some-code", "what is wrong")
    assert raised.value.exit_code == exit_code
