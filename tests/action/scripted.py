"""A server that gives scripted answers and remembers the requests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What comes back; a mapping becomes JSON."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked."""

    method: str
    path: str
    token: str | None
    body: bytes


@contextmanager
def scripted(*answers: Answer) -> Iterator[tuple[str, list[Request]]]:
    """Address and requests of a server that gives one answer after the other; the last one stays."""
    waiting, seen = list(answers), list[Request]()

    class Scripted(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization")
            seen.append(Request(method=self.command, path=self.path, token=token, body=body))
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            self.send_response(answer.status)
            for name, value in ({"Content-Length": str(len(answer.raw))} | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.raw)

        do_GET = do_POST = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Scripted) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def job(state: str, **changes: Any) -> dict[str, Any]:
    """A job as the API answers it, as far as the action reads it."""
    progress = {"stage": None, "done": None, "total": None}
    links = {"self": "/verify/ab12", "page": "/verify/ab12"}
    plain = {"id": "ab12", "state": state, "position": None, "code": None, "message": None, "val_bpb": None}
    return plain | {"progress": progress, "links": links} | changes
