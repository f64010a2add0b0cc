"""A limit of answers a second: whoever forges a source must not have a flood sent to it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

RATE = 2000
"""Answers a second, unless told otherwise."""

QUIET = 10.0
"""Seconds without a refusal after which the next one is a new beginning."""


class RateLimit:
    """Allows so many in any second, and counts what it refuses. For one thread."""

    def __init__(self, most: int, clock: Callable[[], float], on_begin: Callable[[], object]) -> None:
        """most: 0 is no limit; clock: gives seconds; on_begin is called when it begins to refuse, not each time."""
        self.refused = 0
        self._most, self._clock, self._on_begin = most, clock, on_begin
        self._allowed: deque[float] = deque(maxlen=most)
        """Times of the newest that were allowed, seconds of the clock."""
        self._last_refused = -math.inf

    def allows(self) -> bool:
        """True if one more is within the limit; it then counts."""
        if not self._most:
            return True
        now = self._clock()
        if len(self._allowed) < self._most or now - self._allowed[0] >= 1:
            self._allowed.append(now)
            return True
        begins, self._last_refused = now - self._last_refused >= QUIET, now
        self.refused += 1
        if begins:
            self._on_begin()
        return False
