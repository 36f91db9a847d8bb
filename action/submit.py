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
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCEPTED, REJECTED, REFUSED, NO_VERDICT = 0, 1, 2, 3
EXIT = {"accepted": ACCEPTED, "rejected": REJECTED, "failed": NO_VERDICT, "cancelled": NO_VERDICT}
REQUEST_SECONDS = 120.0
POLL_SECONDS = 5.0
MAX_SUMMARY_BYTES = 1_000_000  # GitHub takes 1 MiB a step
TRY_AGAIN = frozenset({429, 502, 503, 504})


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
    server = Server(
        url=options.server.rstrip("/"),
        token=os.environ.get("SEEDGOLF_TOKEN", "").strip(),  # noqa: TID251 - a token on a command line is seen by all
        deadline=time.monotonic() + max(options.wait, REQUEST_SECONDS),
        poll_seconds=options.poll_seconds,
    )
    try:
        job = submit(server, options.artifact, track=options.track, valset=options.valset)
        say(f"job {job['id']}: {server.url}{job['links']['page']}")
        if options.wait:
            job = follow(server, job)
        tell(server, job, output=options.output, summary=options.summary)
    except Refused as error:
        return _failed(str(error), REFUSED)
    except NoVerdict as error:
        return _failed(f"{error}. Run this again: it is the same job", NO_VERDICT)
    return EXIT.get(job["state"], NO_VERDICT if options.wait else ACCEPTED)


def submit(server: Server, artifact: Path, *, track: str, valset: str) -> dict[str, Any]:
    """Send the file; the job that answers for it."""
    if not server.token:
        raise Refused(
            "no token: set SEEDGOLF_TOKEN (input `token`); in a pull request from a fork there are no secrets"
        )
    if not server.url.startswith(("http://", "https://")):
        raise Refused(f"server: expected an address that starts with https://, got {server.url!a}")
    try:
        body = artifact.read_bytes()
    except OSError as error:
        raise Refused(f"artifact: {artifact}: {error.strerror}") from None
    named = {name: value for name, value in (("track", track), ("valset", valset)) if value}
    return _job(server.ask(f"/verify?{urllib.parse.urlencode(named)}", body))


def follow(server: Server, job: dict[str, Any]) -> dict[str, Any]:
    """The job at its end; says every change on the way."""
    said = ""
    while job["state"] not in EXIT:
        stage, position = job["progress"]["stage"], job["position"]
        now = f"{job['state']}" + (f", {stage}" if stage else "") + (f", place {position}" if position else "")
        if now != said:
            say(now)
        said = now
        server.pause(server.poll_seconds, f"the job is {now}")
        job = _job(server.ask(f"/verify/{job['id']}"))
    return job


def tell(server: Server, job: dict[str, Any], *, output: Path | None, summary: Path | None) -> None:
    """Say the result here, in the step's outputs and in the job's summary."""
    page = server.url + job["links"]["page"]
    bpb = "" if job["val_bpb"] is None else repr(job["val_bpb"])
    reason = ": ".join(str(job[key]) for key in ("code", "message") if job[key])
    say(" ".join(filter(None, [job["state"], bpb and f"val_bpb {bpb}", reason, page])))
    if output:
        values = {"verdict": job["state"], "val_bpb": bpb, "report-url": page, "job-id": job["id"]}
        with output.open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={_one_line(value)}\n" for name, value in values.items())
    if summary:
        has_report = EXIT.get(job["state"]) in {ACCEPTED, REJECTED}
        text = server.ask(f"/reports/{job['id']}.md", accept="text/markdown") if has_report else b""
        if len(text) > MAX_SUMMARY_BYTES or not text:
            text = f"**{job['state']}** {_one_line(reason)}\n".encode()
        with summary.open("ab") as file:
            file.write(text + f"\n[The report's page]({page})\n".encode())


def say(text: str) -> None:
    """One line of the log; nothing in it starts a line, and so a workflow command, of its own."""
    print(_one_line(text), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Submit an artifact to a seedgolf server and wait for its verdict.")
    parser.add_argument("--server", required=True, help="address of the server")
    parser.add_argument("--artifact", required=True, type=Path, help="the .sgolf file")
    parser.add_argument("--track", default="", help="limits; by default as the file claims")
    parser.add_argument("--valset", default="", help="validation set; by default as the file claims")
    parser.add_argument("--wait", type=float, default=1800.0, help="seconds to wait for the verdict; 0 only submits")
    parser.add_argument("--output", type=Path, help="file for the step's outputs ($GITHUB_OUTPUT)")
    parser.add_argument("--summary", type=Path, help="file for the Markdown report ($GITHUB_STEP_SUMMARY)")
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


def _failed(message: str, code: int) -> int:
    """GitHub shows an `::error::` line on the run's page."""
    say(f"::error title=seedgolf::{message}")
    return code


if __name__ == "__main__":
    sys.exit(main())
