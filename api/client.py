"""A server's client: submit, follow, fetch, cancel. For `seedgolf submit` and for anyone's Python.

with Client("https://golf.example.org", token) as client:
    job = client.submit(Path("artifact.sgolf"))
    print(client.wait(job.id).state, client.report(job.id).score)

What can go wrong stands in `api/client_errors.py`.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError

from api.client_errors import BadAddress, NotReached, NoVerdictYet, Refused, refused, told
from api.hardware_class import HardwareClass
from api.states import UNFINISHED, State
from verifier.report import Report, parse

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 90.0
UPLOAD_PART_BYTES: Final = 65_536
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 10.0
BUSY: Final = frozenset({408, 429, 502, 503, 504})
"""Answers that are worth asking again."""

Sent = Callable[[int, int], None]
"""Told how many bytes of how many were sent."""


class Stage(BaseModel):
    """Which check runs, and how far it is in its own units."""

    model_config = ConfigDict(frozen=True)

    stage: str | None = None
    done: int | None = None
    total: int | None = None


class Job(BaseModel):
    """Where a job stands; fields that a newer server adds are ignored."""

    model_config = ConfigDict(frozen=True)

    id: str
    state: State
    run: int
    attempt: int
    position: int | None = None
    workers_alive: int | None = None
    hardware_class: str = ""
    progress: Stage = Stage()
    code: str | None = None
    message: str | None = None
    val_bpb: float | None = None
    links: dict[str, str]

    @property
    def is_over(self) -> bool:
        """Whether the run is at its end."""
        return self.state not in UNFINISHED


class Client:
    """One server and one token; use it as a context."""

    def __init__(self, server: str, token: str, *, transport: httpx2.BaseTransport | None = None) -> None:
        try:
            url = httpx2.URL(server)
        except httpx2.InvalidURL:
            url = httpx2.URL("")
        if url.scheme not in {"http", "https"} or not url.host:
            raise BadAddress(f"server: expected http://HOST:PORT or https://HOST, got {server!a}")
        self.server = server.rstrip("/")
        self._http = httpx2.Client(
            base_url=self.server,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            transport=transport,
        )

    def __enter__(self) -> Self:
        """Use until the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._http.close()

    def submit(
        self,
        artifact: Path | bytes,
        *,
        valset: str | None = None,
        track: str | None = None,
        worker_class: HardwareClass | None = None,
        sent: Sent | None = None,
    ) -> Job:
        """Upload an artifact; the same question asked again is the same job.

        Args:
            artifact: a file, or its bytes.
            valset: a set's name; without it the set that the manifest claims.
            track: the limits' name; without it the first track that lists the set.
            worker_class: which workers shall answer; without it the server chooses.
            sent: told bytes.

        Raises:
            ClientError: NotReached or Refused.
            OSError: the file cannot be read.
        """
        data = artifact.read_bytes() if isinstance(artifact, Path) else artifact
        wishes = {"valset": valset, "track": track, "class": worker_class}
        chosen = {key: str(value) for key, value in wishes.items() if value}
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(data))}
        content = _parts(data, sent) if sent else data
        return _job(self._ask("POST", "/verify", params=chosen, content=content, headers=headers))

    def status(self, job_id: str) -> Job:
        """Where a job stands.

        Raises:
            ClientError: NotReached or Refused.
        """
        return _job(self._ask("GET", f"/verify/{job_id}"))

    def cancel(self, job_id: str) -> Job:
        """Withdraw this token's submission; the job stops when no other remains.

        Raises:
            ClientError: NotReached or Refused.
        """
        return _job(self._ask("DELETE", f"/verify/{job_id}"))

    def report(self, job_id: str) -> Report:
        """The report of a job with a verdict.

        Raises:
            ClientError: NotReached or Refused.
            BadReport: the server runs another version of the verifier.
        """
        return parse(self._ask("GET", f"/reports/{job_id}.json").content)

    def envelope(self, job_id: str) -> bytes:
        """The signed report, for `seedgolf report verify`.

        Raises:
            ClientError: NotReached or Refused; `not-signed` in the first moments after a quick rejection.
        """
        return self._ask("GET", f"/reports/{job_id}.dsse").content

    def events(self, job_id: str) -> Iterator[Job]:
        """The job at once and after every change, until its run is over or the connection ends.

        Raises:
            ClientError: NotReached or Refused.
        """
        with told(), self._http.stream("GET", f"/verify/{job_id}/events") as response:
            if response.status_code != httpx2.codes.OK:
                response.read()
                raise refused(response)
            for event in httpx2.EventSource(response):
                if event.event == "job":
                    yield Job.model_validate_json(event.data)
                elif event.event == "end":
                    return

    def follow(
        self, job_id: str, *, seconds: float | None = None, pause: Callable[[float], None] = time.sleep
    ) -> Iterator[Job]:
        """As `events`, through lost connections and a server that starts again, until the run is over.

        Args:
            job_id: the job.
            seconds: give up after this long; never without it.
            pause: waits between two tries.

        Raises:
            NoVerdictYet: the time is over.
            ClientError: Refused; NotReached where there is a time and it is over without an answer.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        wait, last = FIRST_PAUSE_SECONDS, None
        while True:
            try:
                for last in self.events(job_id):
                    wait = FIRST_PAUSE_SECONDS
                    yield last
                    if last.is_over:
                        return
                    _keep(deadline, job_id, last)
            except NotReached:
                if deadline is not None and time.monotonic() > deadline:
                    raise
            except Refused as refusal:
                if refusal.status not in BUSY:
                    raise
            _keep(deadline, job_id, last)
            pause(wait)
            wait = min(2 * wait, LONGEST_PAUSE_SECONDS)

    def wait(self, job_id: str, *, timeout: float | None = None) -> Job:
        """The job at the end of its run; `timeout` in seconds.

        Raises:
            ClientError: as `follow`.
        """
        *_, last = self.follow(job_id, seconds=timeout)  # ends with a job whose run is over
        return last

    def _ask(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        with told():
            response = self._http.request(method, path, **options)
        if not response.is_success:
            raise refused(response)
        return response


def _job(response: httpx2.Response) -> Job:
    try:
        return Job.model_validate_json(response.content)
    except ValidationError:
        raise Refused(
            response.status_code, "not-seedgolf", "the answer is no job; is this a seedgolf server?"
        ) from None


def _keep(deadline: float | None, job_id: str, last: Job | None) -> None:
    if deadline is not None and time.monotonic() > deadline:
        state = last.state if last else "unknown"
        raise NoVerdictYet(f"no verdict in time: job {job_id} is {state}; it goes on")


def _parts(data: bytes, sent: Sent) -> Iterator[bytes]:
    for start in range(0, len(data), UPLOAD_PART_BYTES):
        part = data[start : start + UPLOAD_PART_BYTES]
        yield part
        sent(start + len(part), len(data))
