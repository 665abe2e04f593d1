"""Circuit breaker: decides whether a dependency that failed may be asked again, and when.

It knows neither what the dependency is nor what time it is: callers report outcomes and pass `now` in seconds of one
monotonic clock. The states are those of M. Nygard, "Release It!" (2007), chapter "Stability Patterns":

    closed     calls go through; `failures` failures in a row open it
    open       nothing goes through until `retry_at()`
    half-open  one probe goes through; its success closes the breaker, its failure opens it for twice as long

A probe that never reports back (its caller was cancelled or died) counts as lost after `probe_s`, and the next caller
probes, so the breaker can't stay shut for ever.
"""

from __future__ import annotations

from typing import Literal

State = Literal["closed", "open", "half-open"]


class Breaker:
    """One dependency's breaker.

    Args:
        failures: Failures in a row that open it, >= 1.
        backoff_s: First pause, > 0 s.
        backoff_max_s: Longest pause; pauses double from `backoff_s` up to it with every failed probe.
        probe_s: After this long without a report a probe counts as lost, > 0 s.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self, *, failures: int = 5, backoff_s: float = 1.0, backoff_max_s: float = 60.0, probe_s: float = 60.0
    ) -> None:
        if failures < 1 or backoff_s <= 0 or backoff_max_s < backoff_s or probe_s <= 0:
            raise ValueError("breaker needs failures >= 1, 0 < backoff_s <= backoff_max_s and probe_s > 0")
        self._failures = failures
        self._backoff_s = backoff_s
        self._backoff_max_s = backoff_max_s
        self._probe_s = probe_s
        self._state: State = "closed"
        self._failed_in_row = 0
        self._pause_s = backoff_s
        self._retry_at: float | None = None

    @property
    def state(self) -> State:
        """For metrics and logs; `allow` decides."""
        return self._state

    def allow(self, now: float) -> bool:
        """Whether the caller may make a call now; if so, it must report `success` or `failure` afterwards."""
        if self._retry_at is None:
            return True
        if now < self._retry_at:
            return False
        self._state = "half-open"
        self._retry_at = now + self._probe_s
        return True

    def success(self, now: float) -> None:
        """A call came back well.

        While open nothing was admitted, so this is a call from before the opening: the failures after it are the newer
        evidence and the breaker stays open.
        """
        del now  # taken so that all three calls look alike
        if self._state == "open":
            return
        self._state = "closed"
        self._failed_in_row = 0
        self._pause_s = self._backoff_s
        self._retry_at = None

    def failure(self, now: float) -> None:
        """A call failed. While open this is a late report of a call from before, and does not lengthen the pause."""
        if self._state == "open":
            return
        if self._state == "half-open":
            self._pause_s = min(self._pause_s * 2, self._backoff_max_s)
        else:
            self._failed_in_row += 1
            if self._failed_in_row < self._failures:
                return
        self._state = "open"
        self._retry_at = now + self._pause_s

    def retry_at(self) -> float | None:
        """When `allow` will next say yes if nothing is reported until then; None: it says yes now."""
        return self._retry_at
