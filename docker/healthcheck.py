"""The health check of a container: `healthcheck.py api` or `healthcheck.py worker`; exit code 0 is healthy.

The API is asked whether its database answers. A worker touches a file at every sign of life that reached the
database; it is ill when that is older than the 30 s after which its job would run elsewhere.
"""

import http.client
import os
import sys
import time
from pathlib import Path

SECONDS = 30


def api() -> bool:
    """Whether /readyz says 200."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("SEEDGOLF_PORT", "8765")), timeout=4)  # noqa: TID251 - no package here
    connection.request("GET", "/readyz", headers={"Host": "localhost"})
    return connection.getresponse().status == http.client.OK


def worker() -> bool:
    """Whether the worker's last sign of life is recent."""
    file = Path(os.environ["SEEDGOLF_DATA"]) / "worker-alive"  # noqa: TID251 - no package here
    return time.time() - file.stat().st_mtime < SECONDS


if __name__ == "__main__":
    try:
        healthy = {"api": api, "worker": worker}[sys.argv[1]]()
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"unhealthy: {error}")
    sys.exit(not healthy)
