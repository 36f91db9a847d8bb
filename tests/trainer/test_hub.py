import hashlib
import socket
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants

from tests.trainer.published import FOLDER, export
from trainer.fetch import FetchError, RemoteFile, fetch
from trainer.hub import HuggingFaceHub

VAL = f"{FOLDER}/fineweb_val_000000.bin"
BROKEN = "broken"


class Resolve(BaseHTTPRequestHandler):
    """The hub's `resolve` address: large files are known by their SHA-256, the manifest by a git digest."""

    files: dict[str, bytes]

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.removeprefix("/datasets/owner/export/resolve/main/")
        data = self.files.get(path)
        if data is None:
            self.send_response(503 if path == BROKEN else 404)
            if path != BROKEN:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        etag = hashlib.sha1(data).hexdigest() if path.endswith(".json") else hashlib.sha256(data).hexdigest()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    Resolve.files = export()
    with ThreadingHTTPServer(("127.0.0.1", 0), Resolve) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_an_export_is_fetched_over_the_hubs_protocol(endpoint: str, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    hub = HuggingFaceHub(repository="owner/export", endpoint=endpoint)
    files = fetch("sp1024", tmp_path / "out", hub, train_shards=2, progress=lambda *at: told.append(at))
    for path in (*files.train, *files.val):
        assert path.read_bytes() == Resolve.files[f"{FOLDER}/{path.name}"]
    assert told[-1][0] == told[-1][1] == sum(path.stat().st_size for path in (*files.train, *files.val))
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".bin"] * 4 + [".model"]


def test_a_large_file_is_described_by_size_and_sha256_and_a_small_one_by_size(endpoint: str) -> None:
    hub = HuggingFaceHub(repository="owner/export", endpoint=endpoint)
    data, manifest = Resolve.files[VAL], Resolve.files["datasets/manifest.json"]
    assert hub.describe(VAL) == RemoteFile(path=VAL, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    assert hub.describe("datasets/manifest.json").size_bytes == len(manifest)
    assert hub.describe("datasets/manifest.json").sha256 == ""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no/such/file", "expected a file of the repository, got none of that name"),
        (BROKEN, "got HTTP status 503; try again"),
    ],
)
def test_an_answer_without_the_file_is_one_line(endpoint: str, path: str, words: str) -> None:
    with pytest.raises(FetchError, match=words) as caught:
        HuggingFaceHub(repository="owner/export", endpoint=endpoint).describe(path)
    assert "\n" not in str(caught.value)


def test_without_a_network_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    hub = HuggingFaceHub(repository="owner/export", endpoint=f"http://127.0.0.1:{port}")
    with pytest.raises(
        FetchError, match=r"Hugging Face Hub: .* got no answer \(ConnectError\); connect this machine"
    ) as caught:
        fetch("sp1024", tmp_path / "out", hub, train_shards=1)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
