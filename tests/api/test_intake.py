"""From the pre-check's word to the queue: what the API does where the child or the store has lost something."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.prechecking import Prechecker
from tests.api.service import Service
from tests.verifier.entries import Arena

DIES = (sys.executable, "-c", "import sys; sys.exit(1)")
SECOND_TRY = (
    "import os, runpy, sys; flag = sys.argv.pop(1); known = os.path.exists(flag); open(flag, 'w').close();"
    "runpy.run_module('api.precheck_child', run_name='__main__') if known else sys.exit(1)"
)


@contextmanager
def child(service: Service, command: Sequence[str]) -> Iterator[None]:
    """Another pre-check child for a while."""
    prechecker = Prechecker({}, command=command)
    try:
        with service.changed(prechecker=prechecker):
            yield
    finally:
        assert service.client.portal
        service.client.portal.call(prechecker.__aexit__, None, None, None)


def test_a_file_whose_question_is_not_known_is_not_queued(service: Service, arena: Arena) -> None:
    """Without a validation set no worker could judge it: three of its attempts would end as `judge-died`."""
    with child(service, DIES):
        answer = service.post("/verify?track=local", arena.entry())
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0
    assert service.get("/submissions").json() == []


def test_a_child_that_is_lost_before_it_has_chosen_gets_a_second_try(
    service: Service, arena: Arena, tmp_path: Path
) -> None:
    first = service.submit(arena.entry())
    command = (sys.executable, "-P", "-c", SECOND_TRY, str(tmp_path / "flag"))
    with child(service, command):
        again = service.post("/verify", arena.entry())
    assert (tmp_path / "flag").exists()
    assert (again.status_code, again.json()["id"]) == (202, first["id"]), "the same question"


@pytest.mark.parametrize("lost", ["gone", "changed"])
def test_a_file_that_the_store_has_lost_is_healed_by_submitting_it_again(
    service: Service, arena: Arena, lost: str
) -> None:
    sha256 = service.submit(arena.entry())["artifact"]["sha256"]
    blob = service.held.settings.data / "blobs" / "sha256" / sha256
    if lost == "gone":
        blob.unlink()
    else:
        blob.write_bytes(b"another")
    refused = service.get(f"/artifacts/{sha256}.sgolf")
    assert (refused.status_code, refused.json()["code"]) == (503, "storage-down")
    assert "submit the file again" in refused.json()["detail"]
    service.submit(arena.entry())
    assert service.get(f"/artifacts/{sha256}.sgolf").content == arena.entry()
