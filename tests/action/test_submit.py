"""The action's script as a CI job runs it: exit codes, outputs and the summary, whatever the server says."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.action.scripted import Answer, job, scripted

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "action" / "submit.py"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
(STEP,) = ACTION["runs"]["steps"]
TOKEN = "sg_0123_secret"
ACCEPTED = job("accepted", val_bpb=1.25)
REPORT = Answer(body=b"# Accepted\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A finished run of the script."""

    code: int
    said: str
    outputs: dict[str, str]
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A CI machine with an artifact."""

    folder: Path

    def run(self, server: str, *options: str, token: str = TOKEN) -> Ended:
        command = [sys.executable, str(SCRIPT), "--server", server, "--artifact", str(self.folder / "entry.sgolf")]
        files = ["--output", str(self.folder / "output"), "--summary", str(self.folder / "summary")]
        return self.started([*command, *files, "--poll-seconds", "0.01", *options], {"SEEDGOLF_TOKEN": token})

    def started(self, command: list[str], environ: dict[str, str]) -> Ended:
        """The end of any command that writes the two files."""
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)
        assert done.stderr == ""
        output, summary = (self.folder / name for name in ("output", "summary"))
        lines = output.read_text().splitlines() if output.exists() else []
        outputs = dict(line.split("=", 1) for line in lines)
        text = summary.read_text() if summary.exists() else ""
        return Ended(code=done.returncode, said=done.stdout, outputs=outputs, summary=text)


@pytest.fixture
def ci(tmp_path: Path) -> Runner:
    (tmp_path / "entry.sgolf").write_bytes(b"artifact")
    return Runner(folder=tmp_path)


def test_an_accepted_artifact_gives_its_score_its_page_and_its_report(ci: Runner) -> None:
    steps = [
        Answer(status=202, body=job("queued", position=2)),
        Answer(body=job("running", progress={"stage": "score", "done": 1, "total": 2})),
        Answer(body=ACCEPTED),
        REPORT,
    ]
    with scripted(*steps) as (url, seen):
        ended = ci.run(url, "--track", "local", "--valset", "my set", "--class", "gpu")
    assert ended.code == 0
    page = f"{url}/verify/ab12"
    assert ended.outputs == {"verdict": "accepted", "val_bpb": "1.25", "report-url": page, "job-id": "ab12"}
    assert ended.summary == f"# Accepted\n\n[The report's page]({page})\n"
    assert "queued, place 2\nrunning, score\n" in ended.said
    assert [(request.method, request.path) for request in seen] == [
        ("POST", "/verify?track=local&valset=my+set&class=gpu"),
        ("GET", "/verify/ab12"),
        ("GET", "/verify/ab12"),
        ("GET", "/reports/ab12.md"),
    ]
    assert seen[0].body == b"artifact"
    assert {request.token for request in seen} == {f"Bearer {TOKEN}"}


def test_a_rejected_artifact_fails_the_job_and_says_why(ci: Runner) -> None:
    with scripted(Answer(body=job("rejected", code="over-size")), Answer(body=b"# Rejected\n")) as (url, _):
        ended = ci.run(url)
    assert (ended.code, ended.outputs["verdict"], ended.outputs["val_bpb"]) == (1, "rejected", "")
    assert "::error title=seedgolf::rejected over-size" in ended.said
    assert ended.summary.startswith("# Rejected\n")


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_job_without_a_verdict_is_not_the_artifacts_fault(ci: Runner, state: str) -> None:
    with scripted(Answer(body=job(state, code="worker-lost", message="three workers\ndied"))) as (url, seen):
        ended = ci.run(url)
    assert (ended.code, ended.outputs["verdict"]) == (3, state)
    assert f"**{state}** worker-lost: three workers died" in ended.summary
    assert len(seen) == 1, "there is no report to ask for"


def test_nothing_that_the_server_says_starts_a_line_of_its_own(ci: Runner) -> None:
    strange = job("failed", id="ab12", message="x\nverdict=accepted\n::set-output name=verdict::accepted")
    with scripted(Answer(body=strange)) as (url, _):
        ended = ci.run(url)
    assert ended.outputs["verdict"] == "failed"
    assert not re.search(r"^(verdict=|::set-output)", ended.said, re.MULTILINE)


@pytest.mark.parametrize(("status", "code"), [(401, 2), (403, 2), (404, 2), (413, 2), (422, 2), (302, 2), (500, 3)])
def test_a_refusal_is_told_with_the_servers_words(ci: Runner, status: int, code: int) -> None:
    problem = {"code": "some-code", "detail": "what is wrong", "hint": "what to do", "status": status}
    with scripted(Answer(status=status, body=problem)) as (url, seen):
        ended = ci.run(url)
    assert ended.code == code
    assert f"::error title=seedgolf::{status} some-code: what is wrong: what to do" in ended.said
    assert (ended.outputs, "some-code: what is wrong" in ended.summary) == ({}, True)
    assert len(seen) == 1


def test_a_redirect_does_not_take_the_token_to_another_server(ci: Runner) -> None:
    with scripted(Answer(body=ACCEPTED)) as (other, caught):
        with scripted(Answer(status=307, headers={"Location": f"{other}/verify"})) as (url, _):
            assert ci.run(url).code == 2
        assert caught == []


def test_a_busy_server_or_a_slow_line_is_asked_again_when_it_says(ci: Runner) -> None:
    busy = [Answer(status=status, headers={"Retry-After": "0"}) for status in (503, 429, 502, 408)]
    with scripted(*busy, Answer(body=ACCEPTED), REPORT) as (url, seen):
        ended = ci.run(url, "--wait", "")  # as a workflow hands on a variable that is not set
    assert ended.code == 0
    assert ended.said.count("; trying again\n") == 4
    assert [request.method for request in seen] == ["POST", "POST", "POST", "POST", "POST", "GET"]


def test_a_server_that_wants_more_patience_than_there_is_gives_no_verdict(ci: Runner) -> None:
    full = Answer(status=429, body={"code": "over-quota", "detail": "200 of 200"}, headers={"Retry-After": "86400"})
    with scripted(full) as (url, _):
        ended = ci.run(url)
    assert ended.code == 3
    assert "429 over-quota: 200 of 200. Run this again" in ended.said


def test_a_verdict_that_does_not_come_in_time_is_none(ci: Runner) -> None:
    with scripted(Answer(body=job("running"))) as (url, _):
        ended = ci.run(url, "--wait", "1", "--poll-seconds", "1000")
    assert ended.code == 3
    assert "no verdict in time; the job is running" in ended.said
    assert (ended.outputs["verdict"], ended.outputs["job-id"]) == ("running", "ab12"), "the page can still be opened"
    assert ended.summary.startswith("**no verdict** no verdict in time")


def test_the_wait_is_over_when_it_is_over_however_long_a_request_may_take(ci: Runner) -> None:
    with scripted(Answer(body=job("running"))) as (url, seen):
        ended = ci.run(url, "--wait", "1", "--poll-seconds", "0.6")
    assert ended.code == 3
    assert len(seen) <= 2, "a machine that stalls has no time for the second"


def test_without_waiting_the_job_is_only_submitted(ci: Runner) -> None:
    with scripted(Answer(status=202, body=job("queued"))) as (url, seen):
        ended = ci.run(url, "--wait", "0")
    assert (ended.code, ended.outputs["verdict"], len(seen)) == (0, "queued", 1)
    assert ended.summary.startswith("**queued**")


def test_a_server_that_is_not_there_gives_no_verdict(ci: Runner) -> None:
    with scripted(Answer()) as (url, _):
        pass
    ended = ci.run(url, "--wait", "1", "--poll-seconds", "1000")
    assert ended.code == 3
    assert f"{url} does not answer" in ended.said


@pytest.mark.parametrize(
    ("options", "token", "said"),
    [
        ([], "", "no token"),
        (["--artifact", "nowhere.sgolf"], TOKEN, "nowhere.sgolf: No such file"),
        (["--server", "ftp://golf.example.org"], TOKEN, "starts with https://"),
        (
            ["--wait", "soon"],
            TOKEN,
            "::error title=seedgolf::argument --wait: expected a number of seconds from 0 on, got 'soon'",
        ),
        (["--summary", "no/such/folder.md"], TOKEN, "--summary: can't write 'no/such/folder.md': No such file"),
        (["--wait", "-1"], TOKEN, "expected a number of seconds from 0 on, got '-1'"),
    ],
)
def test_wrong_inputs_are_told_before_anything_is_sent(ci: Runner, options: list[str], token: str, said: str) -> None:
    with scripted(Answer(body=ACCEPTED)) as (url, seen):
        ended = ci.run(url, *options, token=token)
    assert (ended.code, seen) == (2, [])
    assert said in ended.said


def test_another_kind_of_server_is_recognised(ci: Runner) -> None:
    with scripted(Answer(body=b"<html>welcome</html>")) as (url, _):
        ended = ci.run(url)
    assert ended.code == 2
    assert "not that of a seedgolf server" in ended.said


def test_the_step_of_the_action_runs_the_script_with_its_inputs(ci: Runner) -> None:
    inputs = {name: given.get("default", "") for name, given in ACTION["inputs"].items()}
    with scripted(Answer(body=ACCEPTED), REPORT) as (url, seen):
        inputs |= {"server": url, "token": TOKEN, "artifact": str(ci.folder / "entry.sgolf"), "track": "$(id)'\"; id"}
        environ = {name: inputs[re.fullmatch(r"\$\{\{ inputs\.(\w+) \}\}", at)[1]] for name, at in STEP["env"].items()}  # type: ignore[index]
        environ |= {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "GITHUB_ACTION_PATH": str(ROOT)}
        environ |= {"GITHUB_OUTPUT": str(ci.folder / "output"), "GITHUB_STEP_SUMMARY": str(ci.folder / "summary")}
        ended = ci.started(["bash", "-c", STEP["run"]], environ)
    assert ended.code == 0, ended.said
    assert seen[0].path == "/verify?track=%24%28id%29%27%22%3B+id"
    declared = {
        re.fullmatch(r"\$\{\{ steps\.submit\.outputs\.([\w-]+) \}\}", o["value"])[1] for o in ACTION["outputs"].values()
    }  # type: ignore[index]
    assert declared == set(ACTION["outputs"]) == set(ended.outputs)


def test_no_input_stands_in_the_text_of_the_script() -> None:
    assert "${{" not in STEP["run"]


def test_inputs_and_outputs_of_the_action_stand_on_the_page() -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    assert [name for name in [*ACTION["inputs"], *ACTION["outputs"]] if f"| `{name}` |" not in page] == []
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    steps = yaml.safe_load(example)["jobs"]["verify"]["steps"]
    (used,) = [step for step in steps if "seedgolf" in step.get("uses", "")]
    assert set(used["with"]) <= set(ACTION["inputs"])
    assert {name for name, given in ACTION["inputs"].items() if given.get("required")} <= set(used["with"])
