"""Submits an artifact to a seedgolf server from a CI job, and waits for the verdict. Standard library only, one file.

    SEEDGOLF_TOKEN=sg_... python3 action/submit.py --server https://golf.example.org --artifact entry/artifact.sgolf

Exit codes: 0 accepted (or submitted, with --wait 0), 1 rejected, 2 the inputs are refused and nothing was judged,
3 no verdict: the server failed, cannot be reached, or the time is over. Running it again asks the same question, which
is the same job. It follows no redirect, so that the token goes to the named server only.
"""

import argparse
import http
import http.client
import json
import math
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

ACCEPTED, REJECTED, REFUSED, NO_VERDICT = 0, 1, 2, 3
EXIT = {"accepted": ACCEPTED, "rejected": REJECTED, "failed": NO_VERDICT, "cancelled": NO_VERDICT}
REQUEST_SECONDS = 120.0
WAIT_SECONDS = 1800.0
POLL_SECONDS = 5.0
WISHES = ("track", "valset", "class")
MAX_SUMMARY_BYTES = 1_000_000  # GitHub takes 1 MiB a step
TRY_AGAIN = frozenset({408, 429, 502, 503, 504})


class Refused(Exception):
    """The server, or this machine, says no, and asking again would not help."""


class NoVerdict(Exception):
    """The server failed, or there was no verdict in time; the message says what came last."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other: urllib would send the token along."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server, the token for it, and until when to try (seconds of `clock`)."""

    url: str
    token: str
    deadline: float
    poll_seconds: float = POLL_SECONDS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def ask(self, path: str, body: bytes | None = None, *, accept: str = "application/json") -> bytes:
        """The body of the answer to GET, or to POST with a `body`; tries again where that can help.

        Raises:
            Refused: an answer that stays the same.
            NoVerdict: the server's own fault, or nothing better until the deadline.
        """
        said = ""
        while True:
            try:
                return self._once(path, body, accept)
            except urllib.error.HTTPError as error:
                last, retry_after = f"{error.code} {_problem(error)}", error.headers.get("Retry-After", "")
                if error.code not in TRY_AGAIN:
                    raise (NoVerdict if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR else Refused)(
                        last
                    ) from None
                seconds = float(retry_after) if retry_after.isdecimal() else self.poll_seconds
            except (OSError, http.client.HTTPException) as error:
                last, seconds = f"{self.url} does not answer: {error}", self.poll_seconds
            if last != said:
                say(f"{last}; trying again")
            said = last
            self.pause(seconds, last)

    def pause(self, seconds: float, last: str) -> None:
        """Wait, unless that would be past the deadline.

        Raises:
            NoVerdict: it would be.
        """
        if self.clock() + seconds > self.deadline:
            raise NoVerdict(f"no verdict in time; {last}")
        self.sleep(seconds)

    def _once(self, path: str, body: bytes | None, accept: str) -> bytes:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept, "User-Agent": "seedgolf-action"}
        if body is not None:
            headers["Content-Type"] = "application/octet-stream"
        request = urllib.request.Request(self.url + path, body, headers)  # noqa: S310 - submit() looked at the scheme
        with urllib.request.build_opener(NoRedirects).open(request, timeout=REQUEST_SECONDS) as answer:
            content: bytes = answer.read()
        return content


def main() -> int:
    """Submit, wait, tell; the exit code."""
    options = _options()
    began = time.monotonic()
    server = Server(
        url=options.server.rstrip("/"),
        token=os.environ.get("SEEDGOLF_TOKEN", "").strip(),  # noqa: TID251 - a token on a command line is seen by all
        deadline=began + max(options.wait, REQUEST_SECONDS),
        poll_seconds=options.poll_seconds,
    )
    job: dict[str, Any] = {}
    try:
        job = submit(server, options.artifact, **{name: getattr(options, name) for name in WISHES})
        say(f"job {job['id']}: {server.url}{job['links']['page']}")
        if options.wait:
            for now in follow(replace(server, deadline=began + options.wait), job):
                job = now
        text, code = _conclusion(server, job, options.wait)
    except Refused as error:
        text, code = _failed(str(error), REFUSED)
    except NoVerdict as error:
        text, code = _failed(f"{error}. Run this again: it is the same job", NO_VERDICT)
    try:
        tell(server, job, text, output=options.output, summary=options.summary)
    except OSError as error:
        say(f"::error title=seedgolf::can't write {error.filename or 'the outputs'}: {error.strerror}")
        return code or NO_VERDICT
    return code


def submit(server: Server, artifact: Path, **wishes: str) -> dict[str, Any]:
    """Send the file; the job that answers for it. An empty wish is none."""
    if not server.token:
        raise Refused(
            "no token: set SEEDGOLF_TOKEN (input `token`); in a pull request from a fork there are no secrets"
        )
    if not server.url.startswith(("http://", "https://")):
        raise Refused(f"server: expected an address that starts with https:// (or http://), got {server.url!a}")
    try:
        body = artifact.read_bytes()
    except OSError as error:
        raise Refused(f"artifact: {artifact}: {error.strerror}") from None
    named = {name: value for name, value in wishes.items() if value}
    return _job(server.ask(f"/verify?{urllib.parse.urlencode(named)}", body))


def follow(server: Server, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The job again and again, up to its end; says every change on the way."""
    said = ""
    while job["state"] not in EXIT:
        stage, position = job["progress"]["stage"], job["position"]
        now = f"{job['state']}" + (f", {stage}" if stage else "") + (f", place {position}" if position else "")
        if now != said:
            say(now)
        said = now
        server.pause(server.poll_seconds, f"the job is {now}")
        job = _job(server.ask(f"/verify/{job['id']}"))
        yield job


def tell(server: Server, job: dict[str, Any], text: bytes, *, output: Path | None, summary: Path | None) -> None:
    """Write the step's outputs, as far as there is a job, and the job's summary."""
    page = server.url + job["links"]["page"] if job else ""
    if output and job:
        values = {"verdict": job["state"], "val_bpb": _bpb(job), "report-url": page, "job-id": job["id"]}
        with output.open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={_one_line(value)}\n" for name, value in values.items())
    if summary:
        with summary.open("ab") as file:
            file.write(text + (f"\n[The report's page]({page})\n".encode() if page else b""))


def _conclusion(server: Server, job: dict[str, Any], wait: float) -> tuple[bytes, int]:
    """What the summary says of a job, and the exit code; says it here, too."""
    state, code = job["state"], EXIT.get(job["state"], NO_VERDICT if wait else ACCEPTED)
    reason = ": ".join(str(job[key]) for key in ("code", "message") if job[key])
    bpb = _bpb(job) and f"val_bpb {_bpb(job)}"
    line = " ".join(filter(None, [state, bpb, reason, server.url + job["links"]["page"]]))
    say(f"::error title=seedgolf::{line}" if code else line)
    has_report = EXIT.get(state) in {ACCEPTED, REJECTED}
    text = server.ask(f"/reports/{job['id']}.md", accept="text/markdown") if has_report else b""
    if len(text) > MAX_SUMMARY_BYTES or not text:
        text = f"**{state}** {_one_line(reason)}\n".encode()
    return text, code


def _failed(message: str, code: int) -> tuple[bytes, int]:
    """The same of a run that came to no end; GitHub shows an `::error::` line on the run's page."""
    say(f"::error title=seedgolf::{message}")
    return f"**no verdict** {_one_line(message)}\n".encode(), code


def _bpb(job: dict[str, Any]) -> str:
    return "" if job["val_bpb"] is None else repr(job["val_bpb"])


def say(text: str) -> None:
    """One line of the log; nothing in it starts a line, and so a workflow command, of its own."""
    print(_one_line(text), flush=True)


class Parser(argparse.ArgumentParser):
    """Tells a wrong input as every other fault is told."""

    def error(self, message: str) -> NoReturn:
        """Say it in one line, without the usage that a CI job cannot use."""
        say(f"::error title=seedgolf::{message}")
        sys.exit(REFUSED)


def _seconds(text: str) -> float:
    """Seconds to wait; a workflow hands on an unset variable as an empty text."""
    try:
        seconds = float(text) if text else WAIT_SECONDS
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds from 0 on, got {text!a}")
    return seconds


def _file(text: str) -> Path:
    """A file that can be written to, which is better known before the upload."""
    try:
        with Path(text).open("ab"):
            return Path(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"can't write {text!a}: {error.strerror}") from None


def _options() -> argparse.Namespace:
    parser = Parser(description="Submit an artifact to a seedgolf server and wait for its verdict.")
    parser.add_argument("--server", required=True, help="address of the server")
    parser.add_argument("--artifact", required=True, type=Path, help="the .sgolf file")
    parser.add_argument("--track", default="", help="limits; by default as the file claims")
    parser.add_argument("--valset", default="", help="validation set; by default as the file claims")
    parser.add_argument("--class", default="", help="cpu or gpu workers; by default as the server chooses")
    parser.add_argument(
        "--wait", type=_seconds, default=WAIT_SECONDS, help="seconds to wait for the verdict; 0 only submits"
    )
    parser.add_argument("--output", type=_file, help="file for the step's outputs ($GITHUB_OUTPUT)")
    parser.add_argument("--summary", type=_file, help="file for the Markdown report ($GITHUB_STEP_SUMMARY)")
    parser.add_argument("--poll-seconds", type=float, default=POLL_SECONDS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _job(raw: bytes) -> dict[str, Any]:
    """An answer about a job.

    Raises:
        Refused: it is none: another server answers at this address.
    """
    try:
        job = json.loads(raw)
        _ = job["id"], job["state"], job["links"]["page"], job["progress"]["stage"]
    except (ValueError, KeyError, TypeError):
        raise Refused("the answer is not that of a seedgolf server: check the address") from None
    return dict(job)


def _problem(error: urllib.error.HTTPError) -> str:
    """What the server says is wrong: code, detail and hint, in one line."""
    try:
        problem = json.loads(error.read())
        return _one_line(": ".join(str(problem[key]) for key in ("code", "detail", "hint") if problem.get(key)))
    except (OSError, ValueError, TypeError, AttributeError):
        return str(error.reason)


def _one_line(text: str) -> str:
    """Outputs and workflow commands are read line by line."""
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
