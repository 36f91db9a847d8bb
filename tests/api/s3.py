"""An S3 for tests: moto's server in this process, which may go away and come back with everything that it held."""

from dataclasses import dataclass, field

import httpx2
from moto.server import ThreadedMotoServer

BUCKET = "bucket"
HOST = "127.0.0.1"


@dataclass(kw_only=True)
class S3:
    """A server with one bucket, empty after the first `start`."""

    port: int = 0
    server: ThreadedMotoServer | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """What an operator sets; obstore reads it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def start(self) -> None:
        """Answer, at the same address as before."""
        first = self.port == 0
        self.server = ThreadedMotoServer(ip_address=HOST, port=self.port, verbose=False)
        self.server.start()
        _, self.port = self.server.get_host_and_port()
        if first:
            httpx2.post(f"{self.endpoint}/moto-api/reset").raise_for_status()
            httpx2.put(f"{self.endpoint}/{BUCKET}").raise_for_status()

    def stop(self) -> None:
        """Be away."""
        if self.server:
            self.server.stop()
            self.server = None
