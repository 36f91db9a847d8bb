"""One attempt at one job: take it, fetch the file, judge it in a child process, store the verdict.

The attempt runs in a task of its own that nothing cancels: a cancel, a shutdown and a lost fence only raise the flag
that the judging child is stopped by, and the attempt then ends in order. The child dies with the thread that started
it, so that thread belongs to this class and lives as long as the process.
"""

import asyncio
import logging
import threading
from functools import partial
from pathlib import Path
from typing import Final

from procrastinate import JobContext
from procrastinate.job_context import AbortReason

from api import logs
from api.beat import Beat
from api.bench import Bench
from api.blobs import STORE_AWAY, BlobError
from api.full_disk import is_full
from api.patience import DatabaseLost
from api.store import transitions
from api.store.transitions import MAX_FAILURES, Because, Claim
from verifier import attestation, sandbox
from verifier.case import Watch
from verifier.data_errors import DataError
from verifier.errors import JudgeCancelled, SelfCheckFailed, VerifierError
from verifier.report import Report

logger: Final = logging.getLogger(__name__)

INTERNAL_ERROR: Final = "internal-error"
VALSET_MISSING: Final = "valset-missing"
FIRST_PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 10.0
LONGEST_DELAY: Final = 6
"""In waits after a failure: the longest that a job lies before somebody looks whether what was missing is back."""
STORE_AWAY_SAID: Final = "the store of artifacts does not answer"
DISK_FULL_SAID: Final = "the worker's disk is full"


class StoreAway(RuntimeError):
    """The store of artifacts did not answer for as long as an attempt waits for it."""


async def verify(bench: Bench, context: JobContext, *, job_id: str) -> None:
    """The queue's task: one ticket."""
    assert context.job.id is not None
    attempt = Attempt(bench=bench, job_id=job_id, ticket=context.job.id)
    running = asyncio.create_task(attempt.run())
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        attempt.stop(shutdown=context.abort_reason() is AbortReason.SHUTDOWN)
        await running
        raise


class Attempt:
    """One attempt at one job."""

    def __init__(self, *, bench: Bench, job_id: str, ticket: int) -> None:
        self._bench = bench
        self._job_id = job_id
        self._ticket = ticket
        self._stopped = threading.Event()
        self._shutdown = False

    def stop(self, *, shutdown: bool = False) -> None:
        """End the run; in a shutdown the job is queued again."""
        self._shutdown = shutdown
        self._stopped.set()

    async def run(self) -> None:
        """From the ticket to the end of the attempt, whatever that is."""
        bench = self._bench
        with logs.about_job(self._job_id):
            take = partial(transitions.claim, job_id=self._job_id, ticket=self._ticket, worker=bench.worker)
            held = await bench.write(take)
            if held is None:
                logger.info("the ticket is worth nothing any more")
                return
            try:
                report = await self._judge(held)
            except JudgeCancelled:
                await self._cancelled(held)
            except VerifierError as error:
                logger.warning("%s: %s\n%s", error.code, error, error.log_tail)
                await self._failed(held, error.code, str(error), retry=error.retryable)
            except BlobError as error:
                await self._failed(held, error.code, str(error), retry=False)
            except StoreAway:
                await self._put_off(held, STORE_AWAY_SAID)
            except DataError:
                logger.exception("the validation set cannot be used")
                message = "this worker does not have the validation set"
                await self._failed(held, VALSET_MISSING, message, retry=True, wait=True)
            except DatabaseLost:
                raise
            except Exception as error:  # the worker's job boundary
                logger.exception("the attempt failed")
                await self._broke(held, error)
            else:
                await self._verdict(held, report)

    async def _judge(self, held: Claim) -> Report:
        beat = Beat(held.fence, write=self._bench.write, every_seconds=self._bench.heartbeat_seconds)
        beating = asyncio.create_task(beat.run())
        beating.add_done_callback(lambda _: self._stopped.set())  # the fence or the database is lost
        try:
            report = await self._judged(held, beat)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        assert report is not None, "None is for the other ranks of torchrun"
        if report.artifact.sha256 != held.artifact_sha256:
            raise SelfCheckFailed("the report is about another file than the job")
        return report

    async def _judged(self, held: Claim, watch: Watch) -> Report | None:
        bench = self._bench
        judged = partial(
            sandbox.judge,
            await self._fetched(held),
            track=held.track,
            valset_folder=await asyncio.to_thread(self._valset_folder, held),
            settings=bench.run_settings.model_copy(update={"dtype": held.dtype}),
            environ=bench.environ,
            watch=watch,
            cancelled=self._stopped.is_set,
            program=bench.program,
        )
        return await asyncio.get_running_loop().run_in_executor(bench.thread, judged)

    async def _fetched(self, held: Claim) -> bytes:
        """The file, as soon as the store gives it.

        Raises:
            BlobError: the store has no such file.
            StoreAway: the store did not answer in time.
            JudgeCancelled: the attempt was stopped meanwhile.
        """
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + self._bench.outage_seconds, FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._bench.blobs.get(held.artifact_sha256)
            except STORE_AWAY as error:
                logger.warning("%s: %s", STORE_AWAY_SAID, type(error).__name__, exc_info=error)
            if clock() > deadline:
                raise StoreAway
            if await asyncio.to_thread(self._stopped.wait, pause):
                raise JudgeCancelled("stopped before the file was there")
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _valset_folder(self, held: Claim) -> Path | None:
        if not held.valset_sha256:
            return None
        registry = self._bench.registry
        return registry.folder_of(registry.with_digest(held.valset_sha256))

    async def _verdict(self, held: Claim, report: Report) -> None:
        key = self._bench.key
        envelope = attestation.sign(report, key)
        ended = partial(transitions.finish, fence=held.fence, report=report, envelope=envelope, keyid=key.public.keyid)
        stored = await self._bench.write(ended)
        logger.info("verdict %s%s", report.verdict, "" if stored else ", too late: the job is not this attempt's")

    async def _cancelled(self, held: Claim) -> None:
        if self._shutdown:
            detail = f"{self._bench.worker} was shut down"
            again = partial(transitions.requeue, fence=held.fence, because=Because.SHUTDOWN, detail=detail)
            await self._bench.write(again)

    async def _broke(self, held: Claim, error: Exception) -> None:
        """What nobody foresaw, and a full disk."""
        if is_full(error):
            await self._put_off(held, DISK_FULL_SAID)
        else:
            await self._failed(held, INTERNAL_ERROR, "the worker failed; its log says why", retry=True, wait=True)

    async def _put_off(self, held: Claim, detail: str) -> None:
        """Another attempt later, later each time, which costs the job nothing: what is missing is no fault of it."""
        delay = self._bench.retry_seconds[-1] * min(held.fence.attempt, LONGEST_DELAY)
        later = partial(transitions.requeue, because=Because.OUTAGE, detail=detail, delay_seconds=delay)
        await self._bench.write(partial(later, fence=held.fence))

    async def _failed(self, held: Claim, code: str, message: str, *, retry: bool, wait: bool = False) -> None:
        """Another attempt, or the end of the job by our fault."""
        if retry and held.failures + 1 < MAX_FAILURES:
            delay = self._bench.retry_seconds[held.failures] if wait else 0.0
            step = partial(transitions.requeue, because=Because.FAILURE, detail=code, delay_seconds=delay)
            await self._bench.write(partial(step, fence=held.fence))
        else:
            await self._bench.write(partial(transitions.fail, fence=held.fence, code=code, message=message))
