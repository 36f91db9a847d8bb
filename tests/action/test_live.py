"""The action's script against a real server: uvicorn, a worker, the real judge."""

from pathlib import Path

from api.settings import Settings
from tests.action.test_submit import Runner
from tests.api.processes import api_server, program
from tests.api.service import new_token
from tests.verifier.entries import Arena


def test_a_pull_request_is_gated_by_a_live_server(dsn: str, arena: Arena, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", database=dsn, valsets=arena.registry.folder, threads=1)
    ci = Runner(folder=tmp_path)
    token = new_token(dsn, "ci").text
    with (
        program("api.worker", settings, tmp_path / "worker.log"),
        api_server(settings, tmp_path / "api.log") as (url, _),
    ):
        (tmp_path / "entry.sgolf").write_bytes(arena.entry())
        while (ended := ci.run(url, token=token)).code == 2 and "unknown-valset" in ended.said:
            pass  # the worker has not announced its sets yet
        assert ended.code == 0, ended.said
        assert ended.outputs["verdict"] == "accepted"
        assert float(ended.outputs["val_bpb"]) > 0
        assert "accepted" in ended.summary

        damaged = bytearray(arena.entry())
        damaged[-1] ^= 1
        (tmp_path / "entry.sgolf").write_bytes(damaged)
        ended = ci.run(url, token=token)
        assert ended.code == 1, ended.said
        assert ended.outputs["verdict"] == "rejected"
        assert "inflate-error" in ended.summary

        assert "401 unauthenticated" in ci.run(url, token="sg_0123456789ab_wrong").said
        assert "unknown-track" in ci.run(url, "--track", "nowhere", token=token).said
