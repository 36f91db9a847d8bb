"""Who may do what: tokens, scopes, sessions, CSRF, Origin, Host, badges."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from api.states import State
from api.store import tables
from api.store.tokens import Scope
from tests.api.service import HTML, RAW, URL, Service, bearer, code, log_in, login_link
from tests.verifier.entries import Arena

UNKNOWN = "0" * 64
READ_ROUTES = (
    "/",
    "/submissions",
    "/leaderboard",
    "/compare?ids=" + UNKNOWN,
    "/tracks",
    "/valsets",
    "/docs",
    "/openapi.json",
    f"/verify/{UNKNOWN}",
    f"/verify/{UNKNOWN}/events",
    f"/reports/{UNKNOWN}",
    f"/reports/{UNKNOWN}.json",
    f"/reports/{UNKNOWN}.md",
    f"/reports/{UNKNOWN}.html",
    f"/reports/{UNKNOWN}.dsse",
    f"/artifacts/{UNKNOWN}",
    f"/artifacts/{UNKNOWN}.sgolf",
)
CHANGES = (
    ("POST", "/verify"),
    ("DELETE", f"/verify/{UNKNOWN}"),
    ("POST", f"/verify/{UNKNOWN}/cancel"),
    ("POST", f"/reports/{UNKNOWN}/share"),
    ("POST", "/shares/x/revoke"),
)
ANONYMOUS = ("/healthz", "/readyz", "/keys", "/login", "/static/icon.svg", "/badge/nobody.svg")


@pytest.mark.parametrize("path", ANONYMOUS)
def test_what_everybody_may_see_needs_no_token(service: Service, path: str) -> None:
    assert service.client.get(path).status_code == 200


@pytest.mark.parametrize("path", [*READ_ROUTES, "/metrics"])
def test_every_other_page_is_closed_to_anonymous_readers(service: Service, path: str) -> None:
    answer = service.client.get(path)
    assert code(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", READ_ROUTES)
def test_a_token_without_read_sees_no_page(service: Service, path: str) -> None:
    assert code(service.get(path, service.token("bob", Scope.SUBMIT))) == (403, "missing-scope")


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_change_needs_the_scope_submit(service: Service, method: str, path: str) -> None:
    anonymous = service.client.request(method, path)
    assert code(anonymous) == (401, "unauthenticated")
    reader = service.client.request(method, path, headers=bearer(service.token("bob", Scope.READ)))
    assert code(reader) == (403, "missing-scope")


def test_metrics_need_admin_and_admin_may_everything(service: Service, arena: Arena) -> None:
    assert code(service.get("/metrics")) == (403, "missing-scope")
    root = service.token("root", Scope.ADMIN)
    service.submit(arena.entry(), token=root)
    text = service.get("/metrics", root).text
    assert 'seedgolf_jobs{state="queued"} 1.0' in text
    assert "seedgolf_queue_oldest_seconds" in text
    assert 'route="/verify"' in text


@pytest.mark.parametrize("path", ["/leaderboard", "/tracks", f"/verify/{UNKNOWN}", f"/reports/{UNKNOWN}"])
def test_public_read_opens_the_pages(service: Service, path: str) -> None:
    with service.configured(public_read=True):
        assert service.client.get(path).status_code in {200, 404}


def test_public_read_never_opens_artifact_bytes_nor_changes(service: Service, arena: Arena) -> None:
    sha256 = service.submit(arena.entry())["artifact"]["sha256"]
    with service.configured(public_read=True):
        assert code(service.client.get(f"/artifacts/{sha256}.sgolf")) == (401, "unauthenticated")
        assert code(service.client.post("/verify", content=b"", headers=RAW)) == (401, "unauthenticated")
    mine = service.get(f"/artifacts/{sha256}.sgolf")
    assert mine.content == arena.entry()
    assert mine.headers["content-disposition"].startswith("attachment")
    assert mine.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer ", "Bearer sg_000000000000_" + "A" * 43, "Basic YTpi", "Bearer \x80\xff", "sg_x", "Bearer sg__"],
)
def test_a_credential_that_does_not_hold_is_401(service: Service, value: str) -> None:
    answer = service.client.get("/tracks", headers={"Authorization": value.encode("latin-1")})
    assert code(answer) == (401, "unauthenticated")


@pytest.mark.parametrize("column", ["expires_at", "revoked_at"])
def test_an_expired_or_revoked_token_is_worthless_at_once(service: Service, column: str) -> None:
    assert service.get("/tracks").status_code == 200
    service.execute(update(tables.tokens).values({column: datetime.now(UTC) - timedelta(seconds=1)}))
    assert code(service.get("/tracks")) == (401, "unauthenticated")


def test_a_browser_logs_in_with_a_token_and_out_again(service: Service) -> None:
    sent_away = service.client.get("/leaderboard", headers=HTML)
    assert (sent_away.status_code, sent_away.headers["location"]) == (303, "/login?next=/leaderboard")
    answer = service.client.post("/login", data={"token": service.alice, "next": "/leaderboard"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/leaderboard")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert service.alice not in cookie
    assert service.client.get("/leaderboard", headers=HTML).status_code == 200
    csrf = log_in(service)
    out = service.client.post("/logout", data={"csrf": csrf}, headers={"Origin": URL})
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert service.client.get("/tracks").status_code == 401


def test_a_link_on_another_site_is_opened_again_from_here_before_anybody_has_to_log_in(service: Service) -> None:
    followed = service.client.get("/leaderboard", headers=HTML | {"Sec-Fetch-Site": "cross-site"})
    assert (followed.status_code, followed.text.count('http-equiv="refresh" content="0"')) == (200, 1)
    again = service.client.get("/leaderboard", headers=HTML | {"Sec-Fetch-Site": "same-origin"})
    assert (again.status_code, again.headers["location"]) == (303, "/login?next=/leaderboard")


def test_under_https_the_session_cookie_is_secure(service: Service) -> None:
    with service.configured(base_url="https://golf.example"):
        answer = service.client.post("/login", data={"token": service.alice})
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\tx", "x"]
)
def test_the_login_leads_to_no_other_site(service: Service, path: str) -> None:
    answer = service.client.post("/login", data={"token": service.alice, "next": path})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_wrong_token_gets_the_form_again_and_no_cookie(service: Service) -> None:
    answer = service.client.post("/login", data={"token": "sg_wrong"}, headers=HTML)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_a_login_link_works_once(service: Service) -> None:
    link = login_link(service.dsn, service.alice)
    first, second = (service.client.get(f"/login?link={link}") for _ in range(2))
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert second.status_code == 401
    assert service.client.get("/tracks").status_code == 200


def test_a_change_by_cookie_needs_our_own_origin(service: Service, arena: Arena) -> None:
    csrf = log_in(service)
    job_id = service.submit(arena.entry())["id"]
    form = {"csrf": csrf}
    for origin in (None, "null", "http://evil.example", "http://localhost:1", "http://localhost.evil.example:8765"):
        headers = {"Origin": origin} if origin else {}
        answer = service.client.post(f"/verify/{job_id}/cancel", data=form, headers=headers)
        assert code(answer) == (403, "foreign-origin"), origin
    assert service.get(f"/verify/{job_id}").json()["state"] == "queued"
    good = service.client.post(f"/verify/{job_id}/cancel", data=form, headers={"Origin": URL} | HTML)
    assert (good.status_code, good.headers["location"]) == (303, f"/verify/{job_id}")
    assert service.get(f"/verify/{job_id}").json()["state"] == "cancelled"


@pytest.mark.parametrize("given", [None, "", "wrong"])
def test_a_change_by_cookie_needs_the_sessions_csrf_field(service: Service, arena: Arena, given: str | None) -> None:
    log_in(service)
    job_id = service.submit(arena.entry())["id"]
    form = {"x": "y"} if given is None else {"csrf": given}
    for path in (f"/verify/{job_id}/cancel", f"/reports/{job_id}/share", "/logout"):
        assert code(service.client.post(path, data=form, headers={"Origin": URL})) == (403, "bad-csrf"), path
    upload = service.client.post(
        "/verify", data=form, files={"file": ("a", arena.entry()[:-1])}, headers={"Origin": URL}
    )
    assert code(upload) == (403, "bad-csrf")
    raw = service.client.post("/verify", content=b"x", headers=RAW | {"Origin": URL})
    assert code(raw) == (403, "bad-csrf")
    assert code(service.client.delete(f"/verify/{job_id}", headers={"Origin": URL})) == (403, "bad-csrf")
    assert len(service.get("/submissions").json()) == 1


def test_the_csrf_field_comes_in_a_form_or_in_a_header(service: Service, arena: Arena) -> None:
    csrf = log_in(service)
    upload = service.client.post(
        "/verify",
        data={"csrf": csrf, "valset": "", "track": ""},
        files={"file": ("a", arena.entry())},
        headers={"Origin": URL} | HTML,
    )
    assert upload.status_code == 303, upload.text
    headers = {"Origin": URL, "X-CSRF-Token": csrf}
    assert service.client.delete(upload.headers["location"], headers=headers).json()["state"] == "cancelled"


def test_a_login_from_another_sites_page_is_refused(service: Service) -> None:
    answer = service.client.post("/login", data={"token": service.alice}, headers={"Origin": "http://evil.example"})
    assert code(answer) == (403, "foreign-origin")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:8765", 200),
        ("[::1]:8765", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil@localhost", 421),
        ("localhost:8765:1", 421),
        ("", 421),
    ],
)
def test_the_host_header_must_name_this_server(service: Service, host: str, status: int) -> None:
    answer = service.get("/tracks", Host=host)
    assert answer.status_code == status
    if status == 421:
        assert code(answer) == (421, "unknown-host")
        assert service.client.get("/healthz", headers={"Host": host}).status_code == 200, "probes name addresses"


def test_a_badge_shows_verdict_and_score_to_whoever_knows_its_id_until_it_is_revoked(service: Service) -> None:
    job = service.submit(b"no artifact")
    made = service.post(f"/reports/{job['id']}/share")
    assert made.status_code == 201
    path = made.json()["badge"]
    badge = service.client.get(path)
    assert (badge.status_code, badge.headers["content-type"]) == (200, "image/svg+xml")
    assert "rejected" in badge.text
    for secret in (job["id"], job["artifact"]["sha256"], "alice"):
        assert secret not in badge.text
    assert service.post(f"/reports/{job['id']}/share").json() == made.json(), "one badge a job and owner"
    revoke = f"/shares/{made.json()['id']}/revoke"
    assert service.post(revoke, token=service.token("bob")).status_code == 404
    assert service.post(revoke).status_code == 200
    assert service.post(revoke).status_code == 404
    revoked, unknown = service.client.get(path), service.client.get("/badge/AAAAAAAAAAAAAAAAAAAAAA.svg")
    assert (revoked.status_code, revoked.text) == (unknown.status_code, unknown.text)


def test_only_who_submitted_a_job_makes_a_badge_of_it(service: Service) -> None:
    job = service.submit(b"no artifact")
    assert service.post(f"/reports/{job['id']}/share", token=service.token("bob")).status_code == 404


def test_no_answer_says_who_else_submitted(service: Service, arena: Arena) -> None:
    bob = service.token("bob-the-owner")
    job = service.submit(arena.entry(), token=bob)
    service.execute(
        update(tables.jobs).values(state=State.ACCEPTED, val_bpb=2.0, val_loss=3.0, finished_at=datetime.now(UTC))
    )
    paths = ("/leaderboard", f"/verify/{job['id']}", f"/artifacts/{job['artifact']['sha256']}", "/submissions")
    for path in paths:
        for headers in ({}, HTML):
            answer = service.get(path, **headers)
            assert answer.status_code == 200, path
            assert "bob-the-owner" not in answer.text
    assert service.get("/submissions").json() == []
    assert len(service.get("/leaderboard").json()) == 1


def test_the_base_url_names_a_host_and_operators_name_further_ones() -> None:
    from api.middleware import known_hosts
    from api.settings import Settings

    settings = Settings(base_url="https://golf.example/", allowed_hosts=("Other.example",), host="10.0.0.1")
    assert known_hosts(settings) == {"localhost", "127.0.0.1", "::1", "golf.example", "other.example", "10.0.0.1"}
    assert urlsplit(settings.url).hostname in known_hosts(settings)
