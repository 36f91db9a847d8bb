"""POST /verify and what follows it, without a worker."""

import hashlib

import pytest
from sqlalchemy import update

from api.hardware_class import HardwareClass
from api.question import Question
from api.states import State
from api.store.tables import jobs
from api.store.tokens import Scope
from tests.api.service import HTML, Service, bearer
from tests.verifier.entries import Arena
from verifier.report import ScoreDtype
from verifier.report_assembly import verifier_version


def set_state(service: Service, state: State) -> None:
    service.execute(update(jobs).values(state=state))


def test_an_upload_is_queued_under_the_id_of_its_question(service: Service, arena: Arena) -> None:
    answer = service.post("/verify", arena.entry())
    assert answer.status_code == 202, answer.text
    job = answer.json()
    question = Question(
        artifact_sha256=hashlib.sha256(arena.entry()).hexdigest(),
        valset_sha256=arena.registration.sha256,
        track_sha256=arena.track.sha256,
        verifier_version=verifier_version(),
        hardware_class=HardwareClass.CPU,
        dtype=ScoreDtype.FLOAT32,
    )
    assert job["id"] == question.job_id
    assert (job["state"], job["run"], job["position"], job["verdict"]) == ("queued", 1, 1, None)
    assert answer.headers["location"] == job["links"]["self"] == f"/verify/{job['id']}"
    assert job["artifact"]["name"] == "tiny entry"
    assert (job["track"]["name"], job["valset"]["name"]) == ("local", "tiny")
    assert service.get(f"/verify/{job['id']}").json() == job


def test_a_form_is_taken_like_a_raw_body(service: Service, arena: Arena) -> None:
    raw = service.submit(arena.entry())
    files = {"file": ("a.sgolf", arena.entry())}
    answer = service.client.post(
        "/verify", files=files, data={"valset": "", "track": "local"}, headers=bearer(service.alice)
    )
    assert answer.status_code == 202, answer.text
    assert answer.json()["id"] == raw["id"]


def test_the_same_question_is_one_job_whoever_asks_it(service: Service, arena: Arena) -> None:
    bob = service.token("bob")
    ids = {service.submit(arena.entry(), token=token)["id"] for token in (service.alice, bob, service.alice)}
    assert len(ids) == 1
    assert "alice" not in service.get(f"/verify/{ids.pop()}", bob).text


def test_another_track_is_another_question(service: Service, arena: Arena) -> None:
    ids = {service.submit(arena.entry(), f"?track={name}")["id"] for name in ("local", "unlimited_16mb")}
    assert len(ids) == 2


def test_a_bad_file_is_rejected_at_once_by_the_precheck(service: Service, arena: Arena) -> None:
    answer = service.post("/verify", arena.entry()[:-1])
    assert answer.status_code == 200
    job = answer.json()
    assert (job["state"], job["verdict"], job["code"]) == ("rejected", "rejected", "bad-payload-length")
    assert job["report"]["code"] == "bad-payload-length"
    assert service.get(f"/reports/{job['id']}.json").json() == job["report"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?track=nowhere", "unknown-track"),
        ("?valset=nothing", "unknown-valset"),
        ("?wait=61", "invalid-request"),
        ("?wait=-1", "invalid-request"),
        ("?wait=soon", "invalid-request"),
        ("?wait=1.5", "invalid-request"),
        ("?track=%00", "invalid-request"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_and_no_job_is_made(
    service: Service, arena: Arena, query: str, code: str
) -> None:
    answer = service.post(f"/verify{query}", arena.entry())
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert service.get("/submissions").json() == []


def test_a_failed_job_that_is_submitted_again_starts_a_new_run(service: Service, arena: Arena) -> None:
    first = service.submit(arena.entry())
    set_state(service, State.FAILED)
    again = service.submit(arena.entry())
    assert (again["id"], again["run"], again["state"]) == (first["id"], 2, "queued")


def test_a_verdict_is_answered_from_the_store_with_its_report(service: Service, arena: Arena) -> None:
    first = service.post("/verify", b"no artifact").json()
    again = service.post("/verify", b"no artifact", service.token("bob"))
    assert again.status_code == 200
    assert again.json() == first


def test_withdrawing_cancels_a_job_that_nobody_else_wants(service: Service, arena: Arena) -> None:
    job_id = service.submit(arena.entry())["id"]
    bob = service.token("bob")
    assert service.client.delete(f"/verify/{job_id}", headers=bearer(bob)).status_code == 404
    service.submit(arena.entry(), token=bob)
    kept = service.client.delete(f"/verify/{job_id}", headers=bearer(service.alice))
    assert (kept.status_code, kept.json()["state"]) == (200, "queued")
    ended = service.client.delete(f"/verify/{job_id}", headers=bearer(bob))
    assert (ended.status_code, ended.json()["state"]) == (200, "cancelled")


def test_an_admin_cancels_any_job(service: Service, arena: Arena) -> None:
    job_id = service.submit(arena.entry())["id"]
    root = service.token("root", Scope.ADMIN)
    assert service.client.delete(f"/verify/{job_id}", headers=bearer(root)).json()["state"] == "cancelled"


def test_over_the_quota_is_429_with_retry_after_and_nothing_is_taken(service: Service, arena: Arena) -> None:
    with service.configured(quota_unfinished=1):
        first = service.submit(arena.entry())
        refused = service.post("/verify?track=unlimited_16mb", arena.entry())
        assert (refused.status_code, refused.json()["code"]) == (429, "over-quota")
        assert int(refused.headers["retry-after"]) > 0
        assert service.submit(arena.entry())["id"] == first["id"], "an answer from store costs nothing"
    assert len(service.get("/submissions").json()) == 1


def test_a_browser_that_uploads_is_sent_to_the_page_of_its_job(service: Service, arena: Arena) -> None:
    answer = service.post("/verify", arena.entry(), **HTML)
    assert answer.status_code == 303
    page = service.get(answer.headers["location"], **HTML)
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")


def test_only_an_admin_sees_everyones_submissions_and_nobody_whose_they_are(service: Service, arena: Arena) -> None:
    job_id = service.submit(arena.entry())["id"]
    root = service.token("root", Scope.ADMIN)
    page = service.get("/", root, **HTML).text
    assert job_id in page
    assert "alice" not in page
    assert job_id not in service.get("/", service.token("bob", Scope.SUBMIT, Scope.READ), **HTML).text


def test_an_unknown_job_and_a_malformed_id_are_404(service: Service) -> None:
    for job_id in ("0" * 64, "x", "0" * 63, "..%2f..%2fetc%2fpasswd"):
        answer = service.get(f"/verify/{job_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
