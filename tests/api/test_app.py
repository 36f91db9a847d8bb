"""What every answer has in common: headers, refusals, health, logs, documents."""

import asyncio
import errno
import io
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import obstore.exceptions
import psycopg.errors
import pytest
from fastapi import Request
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError

from api import database, logs, problems
from api.blobs import Blobs
from api.middleware import response_headers
from api.settings import Settings
from api.store import tables
from tests.api.service import HTML, URL, Service, bearer
from tests.verifier.entries import Arena

ROOT = Path(__file__).parents[2]


def test_every_answer_carries_the_headers_of_a_closed_page(service: Service) -> None:
    for path in ("/", "/login", "/tracks", "/nowhere", "/healthz"):
        headers = service.get(path, **HTML).headers
        policy = headers["content-security-policy"]
        for rule in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
            assert rule in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert re.fullmatch("[0-9a-f]{16}", headers["x-request-id"])


def test_https_is_for_good() -> None:
    assert "Strict-Transport-Security" in response_headers(Settings(base_url="https://golf.example"))
    assert "Strict-Transport-Security" not in response_headers(Settings())


def test_a_standalone_report_may_use_its_own_style_sheet_and_nothing_else(service: Service) -> None:
    job_id = service.submit(b"junk")["id"]
    policy = service.get(f"/reports/{job_id}.html").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".json", "application/json"), (".md", "text/markdown"), (".html", "text/html")]
)
def test_a_report_comes_in_every_form(service: Service, suffix: str, kind: str) -> None:
    job_id = service.submit(b"junk")["id"]
    answer = service.get(f"/reports/{job_id}{suffix}")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, kind)
    assert "bad-magic" in answer.text
    assert service.get(f"/reports/{job_id}").content == service.get(f"/reports/{job_id}.json").content


def test_a_report_of_another_release_is_served_as_bytes_and_said_to_be_one(service: Service) -> None:
    job_id = service.submit(b"junk")["id"]
    raw = b'{"schema_id": "seedgolf-report/0"}'
    service.execute(update(tables.reports).values(raw=raw))
    assert service.get(f"/reports/{job_id}.json").content == raw
    for path in (f"/reports/{job_id}.md", f"/reports/{job_id}.html", f"/compare?ids={job_id}"):
        refused = service.get(path)
        assert (refused.status_code, refused.json()["code"]) == (422, "bad-report"), path
    assert service.get(f"/reports/{job_id}", **HTML).status_code == 422


def test_an_artifact_has_a_page_when_another_release_wrote_its_report(service: Service) -> None:
    artifact = service.submit(b"junk")["artifact"]["sha256"]
    service.execute(update(tables.reports).values(raw=b'{"schema_id": "seedgolf-report/0"}'))
    assert service.get(f"/artifacts/{artifact}", **HTML).status_code == 200


def test_a_report_without_signature_or_verdict_is_not_there_yet(service: Service, arena: Arena) -> None:
    unsigned = service.get(f"/reports/{service.submit(b'junk')['id']}.dsse")
    assert (unsigned.status_code, unsigned.json()["code"]) == (404, "not-signed")
    queued = service.get(f"/reports/{service.submit(arena.entry())['id']}")
    assert (queued.status_code, queued.json()["code"]) == (404, "report-not-ready")
    assert "retry-after" in queued.headers


def test_pages_are_for_browsers_and_json_for_everybody_else(service: Service, arena: Arena) -> None:
    job = service.submit(b"junk")
    service.submit(arena.entry())
    paths = ("/", "/leaderboard", "/compare", "/tracks", "/valsets", "/keys", f"/verify/{job['id']}")
    for path in (*paths, f"/reports/{job['id']}", f"/artifacts/{job['artifact']['sha256']}"):
        page = service.get(path, **HTML)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8"), path
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.9", "text/*;q=0.5, */*", ""):
        assert service.get("/tracks", Accept=accept).headers["content-type"] == "application/json", accept
    missing = service.get(f"/verify/{'0' * 64}", **HTML)
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_ones_submissions_go_on_behind_the_last_fifty(service: Service) -> None:
    ids = [service.submit(bytes([number]))["id"] for number in range(3)][::-1]
    pages = [service.get(f"/submissions?limit=2&offset={offset}").json() for offset in (0, 2, 4)]
    assert [[line["job_id"] for line in page] for page in pages] == [ids[:2], ids[2:], []]
    assert "/submissions?offset=2" in service.get("/?limit=2", **HTML).text
    assert "/submissions?offset=" not in service.get("/submissions?limit=2&offset=2", **HTML).text
    assert "Nothing yet" not in service.get("/submissions?offset=3", **HTML).text
    assert service.get("/submissions?limit=501").status_code == 422


def test_the_openapi_document_and_its_page_need_read_and_fetch_nothing(service: Service) -> None:
    document = service.get("/openapi.json").json()
    assert {"/verify", "/verify/{job_id}/events", "/reports/{job_id}.dsse"} <= set(document["paths"])
    page = service.get("/docs", **HTML)
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_a_comparison_says_why_reports_do_not_compare(service: Service) -> None:
    job_id = service.submit(b"junk")["id"]
    refused = service.get(f"/compare?ids={job_id},{job_id}&ids={job_id}")
    assert (refused.status_code, refused.json()["code"]) == (422, "not-accepted")
    assert service.get(f"/compare?ids={job_id}", **HTML).status_code == 200
    assert service.get("/compare").status_code == 422
    assert service.get(f"/compare?ids={'0' * 64}").status_code == 404


def test_a_database_that_is_away_is_503_with_retry_after_and_comes_back(service: Service, arena: Arena) -> None:
    nowhere = database.engine("host=/nonexistent dbname=x", pooled=False)
    with service.changed(engine=nowhere):
        for answer in (service.get("/tracks"), service.post("/verify", arena.entry()), service.client.get("/readyz")):
            assert (answer.status_code, answer.json()["code"]) == (503, "database-down")
            assert int(answer.headers["retry-after"]) > 0
            assert "nonexistent" not in answer.text
        assert service.client.get("/healthz").status_code == 200
    assert service.client.get("/readyz").status_code == 200
    assert service.get("/submissions").json() == []


class FullDisk(Blobs):
    """A store whose disk is full."""

    async def put(self, digest: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/secret/path")


def test_a_full_disk_is_503_with_retry_after_and_nothing_is_acknowledged(
    service: Service, arena: Arena, tmp_path: Path
) -> None:
    with service.changed(blobs=FullDisk(tmp_path.as_uri())):
        answer = service.post("/verify", arena.entry())
        assert (answer.status_code, answer.json()["code"]) == (503, "storage-full")
        assert int(answer.headers["retry-after"]) > 0
        assert "secret" not in answer.text
    assert service.get("/submissions").json() == []
    assert service.submit(arena.entry())["state"] == "queued"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("SELECT", {}, psycopg.errors.DiskFull()), "storage-full"),
        (OperationalError("SELECT", {}, psycopg.errors.AdminShutdown()), "database-down"),
        (obstore.exceptions.GenericError("x"), "storage-down"),
        (OSError(errno.EDQUOT, "x"), "storage-full"),
        (ConnectionRefusedError(), "storage-down"),
    ],
)
def test_a_failing_dependency_is_a_503_of_its_own(error: Exception, code: str) -> None:
    refusal = problems.translate(error)
    assert (refusal.status, refusal.code) == (503, code)
    assert refusal.retry_after_seconds


def test_an_unexpected_fault_is_a_500_without_details_and_a_traceback_in_the_log(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: Request) -> None:
        raise ZeroDivisionError("a secret")

    service.app.add_api_route("/broken", broken, include_in_schema=False)
    with caplog.at_level(logging.ERROR):
        answer = service.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "secret" not in answer.text
    assert "ZeroDivision" not in answer.text
    assert "a secret" in caplog.text
    assert service.get("/broken", **HTML).status_code == 500


@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "/nowhere", 404), ("PUT", "/verify", 405), ("GET", "/static/nothing", 404)]
)
def test_refusals_of_the_framework_are_problems_too(service: Service, method: str, path: str, code: int) -> None:
    answer = service.client.request(method, path, headers=bearer(service.alice))
    assert (answer.status_code, answer.headers["content-type"]) == (code, "application/problem+json")
    assert {"type", "title", "status", "code", "detail", "request_id"} <= set(answer.json())


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"])
def test_static_files_lead_nowhere_else(service: Service, path: str) -> None:
    assert service.client.get(path).status_code == 404


def test_a_form_larger_than_a_form_is_refused(service: Service) -> None:
    answer = service.client.post("/login", data={"token": "x" * 70_000}, headers={"Origin": URL})
    assert (answer.status_code, answer.json()["code"]) == (413, "over-size")


def test_log_lines_are_json_with_the_ids_of_request_and_job_and_without_secrets() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    record = logging.LogRecord("api", logging.INFO, "x.py", 1, "said %s", ("so",), None)
    with logs.about_request("r1"), logs.about_job("j1"):
        handler.handle(record)
    line = json.loads(stream.getvalue())
    assert {"level": "info", "message": "said so", "request_id": "r1", "job_id": "j1"}.items() <= line.items()
    assert "\n" not in stream.getvalue().rstrip("\n")


def test_no_secret_reaches_the_log(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "api"):
        service.get("/tracks?token=query-secret")
        service.client.get("/login?link=link-secret")
        service.client.post("/login", data={"token": service.alice})
    for secret in (service.alice, "query-secret", "link-secret"):
        assert secret not in caplog.text


def test_a_statement_that_fails_does_not_show_its_parameters_in_the_log(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.execute(text("ALTER TABLE sessions RENAME COLUMN csrf TO other"))
    try:
        with caplog.at_level(logging.DEBUG, "api"):
            answer = service.client.post("/login", data={"token": service.alice})
    finally:
        service.execute(text("ALTER TABLE sessions RENAME COLUMN other TO csrf"))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "INSERT INTO sessions" in caplog.text
    assert "parameters hidden" in caplog.text


def test_the_api_has_nothing_that_fetches_an_address() -> None:
    """No address of a user is ever asked; the client for users is no part of the server."""
    check = (
        "import sys, api.server, api.worker, api.supervisor; print(*(name.partition('.')[0] for name in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True, capture_output=True, text=True)
    assert {"api", "verifier"} < set(found.stdout.split())
    assert {"httpx", "httpx2", "requests", "urllib3", "aiohttp", "huggingface_hub"}.isdisjoint(found.stdout.split())
    sources = {path.name: path.read_text() for path in (ROOT / "api").rglob("*.py")}
    fetching = {
        name for name, source in sources.items() if re.search(r"urlopen|urllib\.request|http\.client|httpx", source)
    }
    assert fetching == {"client.py", "client_errors.py"}


def test_the_api_never_imports_torch() -> None:
    check = "import sys, api.server, api.precheck_child; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0


def test_the_api_looks_for_lost_workers_and_listens_beside_its_requests(service: Service) -> None:
    """A loop of its own, not a job of the queue: that would wait behind a long one."""

    async def loops() -> set[str]:
        return {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]

    assert service.client.portal
    assert {"sweep_forever", "Hub.run"} <= service.client.portal.call(loops)
