"""The API's side of the pre-check: one child, one file at a time, killed and replaced when it hangs or dies.

A file that the child does not survive is none that the API may judge: its answer is "not rejected", and a worker, which
has a process per file, judges it. One that was lost before it could say by what the file is judged gets a second try,
for without that there is no question to ask a worker.
"""

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from pydantic import BaseModel

from api.precheck_messages import LENGTH_BYTES, MAX_FRAME_BYTES, Ask, Checked, Chosen, frame
from verifier.child_environment import child_environment

MessageT = TypeVar("MessageT", bound=BaseModel)

LOG: Final = logging.getLogger(__name__)
MEMORY_BYTES: Final = 1536 * 1024 * 1024
"""Of address space. A file that inflates to 254 of the 256 MiB allowed was seen to peak at 320 MiB (November 2026)."""
PATIENCE_SECONDS: Final = 30.0
COMMAND: Final = (sys.executable, "-P", "-m", "api.precheck_child")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prechecked:
    """What the child found: `chosen` is None where it died before it could say, `checked` where it died afterwards."""

    chosen: Chosen | None
    checked: Checked | None


class Prechecker:
    """The pre-check child of one API process, an async context; the child starts with the first file."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        command: Sequence[str] = COMMAND,
        memory_bytes: int = MEMORY_BYTES,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._environ = environ
        self._command = command
        self._memory_bytes = memory_bytes
        self._patience_seconds = patience_seconds
        self._turn = asyncio.Lock()
        self._scratch = tempfile.TemporaryDirectory(prefix="seedgolf-precheck-")
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._kill()
        self._scratch.cleanup()

    @property
    def pid(self) -> int | None:
        """The child's, while there is one."""
        return self._process.pid if self._process else None

    async def check(self, data: bytes, ask: Ask) -> Prechecked:
        """Let the child look at a file, in turn."""
        async with self._turn:
            found = await self._asked(data, ask)
            return found if found.chosen else await self._asked(data, ask)

    async def _asked(self, data: bytes, ask: Ask) -> Prechecked:
        chosen: Chosen | None = None
        whole = False
        try:
            async with asyncio.timeout(self._patience_seconds):
                process = await self._running()
                await _send(process, frame(ask), data)
                chosen = await _receive(process, Chosen)
                checked = None if chosen.refusal else await _receive(process, Checked)
                whole = True
                return Prechecked(chosen=chosen, checked=checked)
        except (TimeoutError, EOFError, ConnectionError, ValueError) as error:
            LOG.warning("the pre-check child was lost (%s)", type(error).__name__)
            return Prechecked(chosen=chosen, checked=None)
        finally:
            if not whole:  # also when this request was cancelled: the child would answer the next one with this
                await self._kill()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            folder = Path(self._scratch.name)
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                str(os.getpid()),
                str(self._memory_bytes),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=folder,
                env=child_environment(self._environ, scratch=folder, threads=1),
                start_new_session=True,
            )
        return self._process

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _send(process: asyncio.subprocess.Process, *parts: bytes) -> None:
    assert process.stdin is not None
    process.stdin.writelines(parts)
    await process.stdin.drain()


async def _receive(process: asyncio.subprocess.Process, kind: type[MessageT]) -> MessageT:
    assert process.stdout is not None
    length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"frame: expected at most {MAX_FRAME_BYTES} bytes, got {length}")
    return kind.model_validate_json(await process.stdout.readexactly(length))
