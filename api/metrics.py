"""Numbers for Prometheus: requests of this process, and the queue as the database sees it when it is asked."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from api.store.statistics import Statistics

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The metrics of one API process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="seedgolf_api", registry=self.registry)
        labels = ("method", "route", "status")
        self._requests = Counter("seedgolf_requests", "Answered requests.", labels, registry=self.registry)
        self._seconds = Histogram(
            "seedgolf_request_seconds",
            "From a request's head to the end of its answer.",
            ("method", "route"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.upload_bytes = Counter("seedgolf_upload_bytes", "Bytes of taken uploads.", registry=self.registry)
        self.prechecks = Counter(
            "seedgolf_prechecks", "Files through the pre-check.", ("outcome",), registry=self.registry
        )
        self._jobs = Gauge("seedgolf_jobs", "Jobs by state.", ("state",), registry=self.registry)
        self._depth = Gauge("seedgolf_queue_depth", "Waiting tickets.", ("queue",), registry=self.registry)
        self._oldest = Gauge("seedgolf_queue_oldest_seconds", "Age of the oldest queued job.", registry=self.registry)
        self._workers = Gauge(
            "seedgolf_workers_alive", "Workers heard of lately.", ("hardware_class",), registry=self.registry
        )
        self.streams = Gauge("seedgolf_event_streams", "Open event streams.", registry=self.registry)
        self.waiters = Gauge("seedgolf_waiters", "Requests that wait for a verdict.", registry=self.registry)

    def note_request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer under its route's template, so that ids make no labels."""
        known = method if method in {"GET", "HEAD", "POST", "DELETE"} else "other"
        self._requests.labels(known, route, status).inc()
        self._seconds.labels(known, route).observe(seconds)

    def note_queue(self, seen: Statistics) -> None:
        """Take over what the database says."""
        for state, number in seen.jobs.items():
            self._jobs.labels(state).set(number)
        self._depth.clear()  # a queue that is empty now is not among `seen.depth`
        for queue, number in seen.depth.items():
            self._depth.labels(queue).set(number)
        self._oldest.set(seen.oldest_queued_seconds)
        for hardware_class, number in seen.workers_alive.items():
            self._workers.labels(hardware_class).set(number)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)
