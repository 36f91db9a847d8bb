"""The whole path as a contestant and a CI job walk it: train, serve, submit, a damaged copy, a signature checked."""

import json
from pathlib import Path

import httpx2
import pytest

from api.client import Client
from tests.e2e.server import Server, seedgolf, serving, train_tiny
from verifier.report import parse

FLIPPED_BYTE = -40


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("train") / "run")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> object:
    with serving(tmp_path_factory.mktemp("serve") / "data") as running:
        yield running


def damaged(artifact: Path, folder: Path) -> Path:
    """A copy with one byte of its payload changed."""
    data = bytearray(artifact.read_bytes())
    data[FLIPPED_BYTE] ^= 1
    copy = folder / "damaged.sgolf"
    copy.write_bytes(bytes(data))
    return copy


def test_from_training_to_a_verdict_that_a_stranger_checks_offline(
    artifact: Path, server: Server, tmp_path: Path
) -> None:
    summary = tmp_path / "summary.md"
    done = seedgolf("submit", artifact, "--wait", "--json", "--summary", summary, data=server.data)
    assert done.returncode == 0, done.stderr
    report = parse(done.stdout.encode())
    assert (report.verdict, report.artifact.size_bytes) == ("accepted", artifact.stat().st_size)
    assert report.claims
    assert all(claim.holds for claim in report.claims)
    assert f"{report.score.val_bpb:.4f}" in summary.read_text()  # type: ignore[union-attr]

    token = (server.data / "admin-token").read_text().strip()
    with httpx2.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as http:
        board = http.get("/leaderboard", headers={"Accept": "application/json"}).json()
        row = next(row for row in board["rows"] if row["artifact_sha256"] == report.artifact.sha256)
        envelope, key = tmp_path / "report.dsse", tmp_path / "server.pub"
        envelope.write_bytes(http.get(f"/reports/{row['job_id']}.dsse").raise_for_status().content)
        key.write_text(http.get("/keys").json()["keys"][0]["pem"])
    checked = seedgolf("report", "verify", envelope, "--key", key, "--artifact", artifact)
    assert checked.returncode == 0, checked.stderr
    assert "accepted" in checked.stdout

    forged = json.loads(envelope.read_text())
    forged["payload"] = forged["payload"][:-8] + "AAAA" + forged["payload"][-4:]
    envelope.write_text(json.dumps(forged))
    assert seedgolf("report", "verify", envelope, "--key", key).returncode != 0


def test_a_damaged_copy_is_rejected_before_the_upload_and_by_the_server(
    artifact: Path, server: Server, tmp_path: Path
) -> None:
    copy = damaged(artifact, tmp_path)
    done = seedgolf("submit", copy, "--wait", data=server.data)
    assert done.returncode == 1, done.stderr
    assert "bad-zlib" in done.stdout + done.stderr or "payload" in done.stdout + done.stderr

    token = (server.data / "admin-token").read_text().strip()
    with Client(server.url, token) as client:
        job = client.submit(copy)
        found = client.wait(job.id, timeout=60)
        assert found.state == "rejected"
        assert client.report(job.id).code is not None
