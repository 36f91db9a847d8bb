"""The Hugging Face Hub behind `trainer.fetch`: one dataset repository, read without credentials.

Failures of the network, of the service and of a transfer become a FetchError of one line with the next step.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError, RepositoryNotFoundError, XetDownloadError
from huggingface_hub.utils.tqdm import tqdm

from trainer.fetch import FetchError, RemoteFile

REPOSITORY = "willdepueoai/parameter-golf"
SHA256 = re.compile(r"[0-9a-f]{64}")
OFFLINE = "connect this machine to the network, or copy the folder from one that is and use it with `--data`"


class HuggingFaceHub:
    """Answers `trainer.fetch.Hub` for one revision of a dataset repository."""

    def __init__(self, *, repository: str = REPOSITORY, revision: str = "main", endpoint: str | None = None) -> None:
        """Name the repository; `endpoint` None is the library's own choice, the public hub."""
        self._repository = repository
        self._revision = revision
        self._endpoint = endpoint

    def describe(self, path: str) -> RemoteFile:
        """Ask for the size and the digest of a file: large files are stored under their SHA-256."""
        url = hf_hub_url(self._repository, path, repo_type="dataset", revision=self._revision, endpoint=self._endpoint)
        with _explained(path):
            metadata = get_hf_file_metadata(url, token=False, endpoint=self._endpoint)
        if metadata.size is None:
            raise FetchError(path, expected="a stated size", got="none", next_step="try again later")
        sha256 = metadata.etag if metadata.etag and SHA256.fullmatch(metadata.etag) else ""
        return RemoteFile(path=path, size_bytes=metadata.size, sha256=sha256)

    def download(self, path: str, folder: Path, received: Callable[[int], None]) -> Path:
        """Bring a file below `folder`."""
        with _explained(path):
            file = hf_hub_download(
                self._repository,
                path,
                repo_type="dataset",
                revision=self._revision,
                local_dir=folder,
                token=False,
                endpoint=self._endpoint,
                tqdm_class=_listening_bar(received),
            )
        return Path(file)


def _listening_bar(received: Callable[[int], None]) -> type[tqdm]:
    """The library tells progress to a bar it makes itself; this one draws nothing and passes the bytes on."""

    class ListeningBar(tqdm):
        def __init__(self, *args: object, **settings: object) -> None:
            super().__init__(*args, **{**settings, "disable": True})  # type: ignore[no-untyped-call]  # tqdm has no types

        def update(self, n: float | None = 1) -> None:
            received(int(n or 0))

    return ListeningBar


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Say in one line what stopped a request for `path`."""
    try:
        yield
    except RepositoryNotFoundError:
        raise FetchError(path, expected="a public repository", got="none of that name on the hub") from None
    except RemoteEntryNotFoundError:
        raise FetchError(path, expected="a file of the repository", got="none of that name on the hub") from None
    except HfHubHTTPError as error:
        got = f"HTTP status {error.response.status_code}"
        raise FetchError(path, expected="the file", got=got, next_step="try again later") from error
    except (HTTPError, XetDownloadError, OSError) as error:
        got = f"no answer ({type(error).__name__})"
        raise FetchError("Hugging Face Hub", expected=path, got=got, next_step=OFFLINE) from error
