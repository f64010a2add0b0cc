"""Joins the answers of a file behind its reading, what is on screen first, so that reading is not slowed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread, current_thread

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.tracking.answers import MESSAGES, Answers

STEP = 8_192
"""Frames that are joined at once: some ms, after which what is on screen has its turn."""

NEAR = 2_000
"""Frames before and after one on screen that are joined for it before its turn comes."""

PAUSE = 0.25
"""Seconds from one telling of progress to the next, at least."""


class Follower:
    """Hands each batch to the answers: at once while frames are captured, and those of a file later, in order.

    A file's frames are read back from the store in a thread that begins when the file is read, for both would share one
    processor: Python runs one thread at a time. What is asked for before its turn is joined with the frames around it,
    and so tells of answers within those; when its turn comes, it is joined with all.
    """

    def __init__(self, store: Store, make: Callable[[], Answers], on_progress: Callable[[], object]) -> None:
        """make() gives answers that know nothing yet; on_progress is called in the follower's thread."""
        self.done = 0
        """The number of the last frame that had its turn."""
        self._store = store
        self._make = make
        self._on_progress = on_progress
        self._answers = make()
        self._near = make()
        self._near_frames = range(0)
        self._wanted = 0  # the number of a frame that is asked for; 0: none
        self._changed = Condition()
        self._is_behind = False
        self._is_reading = False
        self._closed = False
        self._thread: Thread | None = None

    def __call__(self, interface: int, first: int, batch: Batch) -> None:
        """Take in a batch whose first frame has this number, now or later."""
        last = first + len(batch.records) - 1
        with self._changed:
            if self._is_behind or last <= self.done:
                return
            self.done = last
        self._answers(interface, first, batch)

    @contextmanager
    def behind(self) -> Iterator[None]:
        """While a file is read, only what is asked for is joined; then the rest."""
        with self._changed:
            self._is_behind = self._is_reading = not self._closed
            if self._thread is None and not self._closed:
                self._thread = Thread(target=self._run, name="answers of a file", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._is_reading = False
                self._changed.notify_all()

    def at(self, number: int) -> Answers:
        """Those that know of a frame; where nobody does yet, it is the next to be looked at."""
        near, frames = self._near, self._near_frames
        if number in frames and self.done < frames.stop:
            return near
        if number > self.done and self._is_behind:
            with self._changed:
                self._wanted = number
                self._changed.notify_all()
        return self._answers

    def close(self) -> None:
        """End, whatever is left; returns when nothing is read any more."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None and thread is not current_thread():
            thread.join()

    def _run(self) -> None:
        told = 0.0
        while (wanted := self._next()) is not None:
            is_new = False  # what was asked for is known now
            try:
                if wanted:
                    is_new = self._join_near(wanted)
                else:
                    self._join_next()
            except CaptureError:  # the file was changed below us, as rows say, or the capture is closed
                self._end()
            if is_new or not self._is_behind or (not wanted and time.monotonic() - told > PAUSE):
                told = time.monotonic()
                self._on_progress()

    def _next(self) -> int | None:
        """The frame that is asked for, or 0 for those whose turn it is, once that is known; None: all is done."""
        with self._changed:
            while not self._closed and not self._wanted and self._is_reading:
                self._changed.wait()
            if self._closed or not self._is_behind:
                self._is_behind = False
                self._thread = None
                return None
            wanted, self._wanted = self._wanted, 0
            return wanted

    def _join_near(self, number: int) -> bool:
        """Join the frames around one; False where they are, as when they were asked for twice meanwhile."""
        if number in self._near_frames or number <= self.done:
            return False
        near = self._make()
        frames = range(max(1, number - NEAR), min(len(self._store), number + NEAR) + 1)
        self._feed(near, frames)
        self._near, self._near_frames = near, frames
        return True

    def _join_next(self) -> None:
        """Join some of those whose turn it is; at the end, all that comes is joined at once again."""
        frames = range(self.done + 1, min(len(self._store), self.done + STEP) + 1)
        self._feed(self._answers, frames)
        with self._changed:
            self.done = frames.stop - 1
            if self.done == len(self._store) and not self._is_reading:
                self._is_behind = False

    def _end(self) -> None:
        with self._changed:
            self._is_behind = False
            self.done = len(self._store)

    def _feed(self, answers: Answers, frames: range) -> None:
        """Read frames back, and have them joined. Raises CaptureError."""
        at = frames.start
        while at < frames.stop:
            batches, at = self._store.batches(at, frames.stop, MESSAGES)
            for interface, first, batch in batches:
                try:
                    answers(interface, first, batch)
                except Exception as error:  # what is made of the packets must not end it
                    self._store.stumble(first, error)
