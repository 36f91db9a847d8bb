"""Hands this machine's pip configuration to an image build: `pip_for_build.py pip.conf`, running as long as the build.

Writes the configuration into a file for BuildKit's secret `pip_conf`. Indexes and wheel folders that lie on this
machine's disk are served on a free port of the loopback meanwhile, which the build reaches over the host's network.
"""

import configparser
import subprocess
import sys
import urllib.parse
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

KEYS = ("index-url", "extra-index-url", "find-links", "trusted-host")
CERTIFICATES = "/run/secrets/pip_ca"  # where docker/Dockerfile mounts the secret `pip_ca`


class Quiet(SimpleHTTPRequestHandler):
    """A file server that does not talk."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def served(place: str) -> str:
    """`place`, or where it is served when it is a folder of this machine; an index's links lead to its siblings."""
    parsed = urllib.parse.urlsplit(place)
    if parsed.scheme not in {"", "file"}:
        return place
    folder = Path(urllib.parse.unquote(parsed.path))
    index = parsed.scheme == "file"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder.parent if index else folder)))
    Thread(target=server.serve_forever).start()
    return f"http://127.0.0.1:{server.server_port}/{folder.name if index else ''}"


def main() -> None:
    """Read, serve, write, and wait to be ended."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key in KEYS:
            found.setdefault(key, []).extend(value.strip("'").split())
    config = configparser.ConfigParser(interpolation=None)
    config["global"] = {key: "\n".join(map(served, dict.fromkeys(values))) for key, values in found.items()}
    if len(sys.argv) > 2:
        config["global"]["cert"] = CERTIFICATES
    part = Path(f"{sys.argv[1]}.part")
    with part.open("w", encoding="utf-8") as file:
        config.write(file)
    part.rename(sys.argv[1])


if __name__ == "__main__":
    main()
