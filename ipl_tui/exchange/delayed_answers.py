"""Answers that wait before they are sent, so that clients hear them that begin to listen only after they have sent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Lock, Thread, current_thread
from typing import NamedTuple

from ipl_tui.tracking.matching import is_same

DELAY = 0.15
"""Seconds that a server waits unless told otherwise. A sniffer takes 20 to 50 ms to begin, and longer where the machine
is busy: after 20 ms none of 10 such clients heard the answer, after 50 to 300 ms all."""

MOST_WAITING = 10_000
"""Answers that wait at once, some 10 MB: ten seconds' worth at 1,000 a second."""

TOO_MANY, STOPPED = "too many answers wait already", "the server was stopped before its answer was due"
"""Reasons why a request is not answered; parts of a sentence."""

UNDER_WAY = 15.0
"""Seconds that a packet of ours may be under way; the lab waits as long for its answer."""


class DelayedAnswer(NamedTuple):
    """An answer that is to be sent."""

    due: float
    """On the monotonic clock."""
    answer: Callable[[], object]
    refuse: Callable[[str], object]


class DelayedAnswers:
    """Carries out answers some time after they were asked for, in order, in a thread of its own."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: deque[DelayedAnswer] = deque()
        self._changed = Condition()
        self._thread: Thread | None = None
        """While answers are taken; None: they are refused."""

    def start(self) -> None:
        """Take answers from now on, if it does not already."""
        with self._changed:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="answers that wait", daemon=True)
                self._thread.start()

    def do(self, answer: Callable[[], object], refuse: Callable[[str], object]) -> None:
        """Have answer() called when its time has come, or refuse() with the reason why it will not be; never waits."""
        with self._changed:
            reason = STOPPED if self._thread is None else TOO_MANY if len(self._waiting) >= MOST_WAITING else ""
            if not reason:
                self._waiting.append(DelayedAnswer(time.monotonic() + self._seconds, answer, refuse))
                if len(self._waiting) == 1:
                    self._changed.notify_all()
        if reason:
            refuse(reason)

    def stop(self) -> None:
        """Refuse at once what still waits; returns when nothing is carried out any more. Twice is fine."""
        with self._changed:
            thread, self._thread = self._thread, None
            refused = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        if thread is not None and thread is not current_thread():
            thread.join()
        for each in refused:
            each.refuse(STOPPED)

    def _run(self) -> None:
        while (due := self._next()) is not None:
            due.answer()

    def _next(self) -> DelayedAnswer | None:
        """The next answer, when it is due; None once this thread is no longer wanted."""
        with self._changed:
            while self._thread is current_thread():
                if not self._waiting:
                    self._changed.wait()
                elif (left := self._waiting[0].due - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    return self._waiting.popleft()
        return None


@dataclass
class Sending:
    """A packet that this program sends."""

    packet: bytes
    left: int
    """Number of times it is still to arrive."""
    expires: float = float("inf")
    """On the monotonic clock."""


class OwnPackets:
    """Packets that this program itself sends: it listens already, and is answered at once. For any thread."""

    def __init__(self) -> None:
        self._sendings: list[Sending] = []
        self._lock = Lock()

    @contextmanager
    def sending(self, packet: bytes, count: int = 1) -> Iterator[None]:
        """While a packet, from its IPv4 header on, is sent so many times."""
        entry = Sending(packet, count)
        with self._lock:
            self._sendings.append(entry)
        try:
            yield
        finally:
            entry.expires = time.monotonic() + UNDER_WAY

    def take(self, packet: bytes) -> bool:
        """True if a packet that arrived is one of them, which it then is no more: the next equal one may be somebody
        else's."""
        if not self._sendings:
            return False
        with self._lock:
            now = time.monotonic()
            self._sendings = [each for each in self._sendings if each.left > 0 and each.expires > now]
            # Routers change the header on its way: is_same() looks at what they leave alone.
            found = next((each for each in self._sendings if is_same(each.packet, packet)), None)
            if found is not None:
                found.left -= 1
        return found is not None
