"""The whole path as a contestant and a CI job walk it: train, serve, submit, a damaged copy, a signature checked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.client import Client
from api.states import State
from benchmarks.service import Server, serving
from tests.e2e.walk import seedgolf, train_tiny
from verifier.report import parse

FLIPPED_BYTE = -40  # in the compressed payload


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("train") / "run")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("serve") / "data", workers=1) as running:
        yield running
    assert running.leftovers() == []


def damaged(artifact: Path, folder: Path) -> Path:
    data = bytearray(artifact.read_bytes())
    data[FLIPPED_BYTE] ^= 1
    copy = folder / "damaged.sgolf"
    copy.write_bytes(bytes(data))
    return copy


def test_from_training_to_a_verdict_that_a_stranger_checks_offline(
    artifact: Path, server: Server, tmp_path: Path
) -> None:
    summary = tmp_path / "summary.md"
    done = seedgolf("submit", artifact, "--wait", "--json", "--summary", summary, data=server.folder)
    assert done.returncode == 0, done.stderr
    report = parse(done.stdout.encode())
    assert report.artifact.bytes == artifact.stat().st_size
    assert report.score is not None
    assert f"{report.score.val_bpb:.6f}" in summary.read_text()

    envelope, key = tmp_path / "report.dsse", tmp_path / "server.pub"
    with server.client as http:
        (row,) = http.get("/leaderboard").json()
        assert (row["artifact_sha256"], row["val_bpb"]) == (report.artifact.sha256, report.score.val_bpb)
        envelope.write_bytes(http.get(f"/reports/{row['job_id']}.dsse").raise_for_status().content)
        key.write_text(http.get("/keys").json()[0]["pem"])
    checked = seedgolf("report", "verify", envelope, "--key", key, "--artifact", artifact)
    assert checked.returncode == 0, checked.stderr
    assert "accepted" in checked.stdout

    forged = json.loads(envelope.read_text())
    forged["payload"] = forged["payload"][:-8] + "AAAA" + forged["payload"][-4:]
    envelope.write_text(json.dumps(forged))
    assert seedgolf("report", "verify", envelope, "--key", key).returncode != 0


def test_a_damaged_copy_is_rejected_here_before_the_upload_and_there_after_it(
    artifact: Path, server: Server, tmp_path: Path
) -> None:
    copy = damaged(artifact, tmp_path)
    done = seedgolf("submit", copy, "--wait", data=server.folder)
    assert done.returncode == 1, done.stderr
    assert "before any upload" in done.stderr

    url, token = ((server.folder / name).read_text().strip() for name in ("address", "admin-token"))
    with Client(url, token) as client:
        job = client.wait(client.submit(copy).id, timeout=60)
        assert job.state is State.REJECTED
        assert job.code == client.report(job.id).code
