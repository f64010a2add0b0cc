"""A packet's line, as the list shows it and `sniff --list` prints it: made once, and kept while it may be in view."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Container, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from ipl_tui.capture.frames import NO_TIME, Frame, StoredInterface
from ipl_tui.capture.lru_cache import LruCache
from ipl_tui.capture.store import Store
from ipl_tui.packets.budget import SHARED, Dissector
from ipl_tui.packets.text import in_columns
from ipl_tui.tracking.changes import in_brief
from ipl_tui.tracking.tracker import Tracker

if TYPE_CHECKING:  # loads Scapy, which the first screen must not wait for
    from ipl_tui.packets.dissect import Summary

SENT, RECEIVED, TO_ITSELF, PASSING = "↦", "⇥", "↻", "→"

KEPT = 1024
"""Rows: some screens full of them."""


@dataclass(frozen=True, slots=True)
class Note:
    """Note on a packet made of other packets and the network, in few words and in fewer; printable."""

    kind: Literal["hop", "lost", "answer"]
    """Kind of note: which packet it was one interface earlier; that it went no further; what it answers, or is answered
    by."""
    text: str
    brief: str
    """The same where there is little room."""


@dataclass(frozen=True, slots=True)
class Row:
    """All that a packet's line says. Its text is printable."""

    number: int
    """1-based, in the order of arrival."""
    time: int
    """Time of capture, ns since the epoch; NO_TIME where nobody wrote it down."""
    interface: str
    """The name of the interface it was captured on."""
    source: str
    """An address; empty where its headers name none."""
    direction: str
    """Direction as seen from the interface: SENT, RECEIVED, TO_ITSELF, or PASSING where nobody knows."""
    destination: str
    """As source."""
    protocol: str
    length: int
    """Bytes of the frame on the wire."""
    info: str
    """Summary of the packet; may be empty."""
    notes: tuple[Note, ...] = ()
    """One of a kind at most, in the order of Note.kind."""


def make_row(frame: Frame, interface: StoredInterface, summary: Summary, own: Collection[str] = ()) -> Row:
    """The row of a frame by itself, without notes; `own` has the addresses of the interface's host."""
    return Row(
        frame.number,
        frame.time,
        in_columns(interface.name),  # a file may name it anything
        summary.source,
        _direction(frame, summary, own) if own else PASSING,
        summary.destination,
        summary.protocol,
        frame.length,
        ": ".join(filter(None, (frame.cut, summary.info))),
    )


def _direction(frame: Frame, summary: Summary, own: Collection[str]) -> str:
    """By the link header, or else by addresses."""
    destination, source = (frame.data[at : at + 6].hex(":") for at in (0, 6))
    match summary.source in own or source in own, summary.destination in own or destination in own:
        case True, True:
            return TO_ITSELF
        case True, False:
            return SENT
        case False, True:
            return RECEIVED
    return PASSING


def seconds_since(begin: int | None, time: int) -> str:
    """Seconds to the microsecond between two times in ns; "-" where one is not known: None or NO_TIME."""
    return "-" if begin is None or NO_TIME in (begin, time) else f"{(time - begin) / 1e9:.6f}"


def time_of_day(time: int) -> str:
    """The local time of day of a time in ns since the epoch, to the microsecond; "-" where it is not known: NO_TIME."""
    if time == NO_TIME:
        return "-"
    second, part = divmod(time, 10**9)
    try:
        of_day = datetime.fromtimestamp(second)
    except (ValueError, OverflowError, OSError):  # no year from 1 to 9999; nobody knows its summer time either
        of_day = datetime(1970, 1, 1) + timedelta(seconds=second % 86_400)
    return f"{of_day:%H:%M:%S}.{part // 1000:06d}"


class Rows:
    """The rows of a capture, asked for by number, from one thread.

    What a packet's own bytes say is read once, and kept. What may come later or change is asked for each time, which
    takes no reading: what it answers and is answered by, its hop, its loss. A summary that takes long comes later too:
    until then the row says what the first headers say.
    """

    def __init__(self, store: Store, tracker: Tracker, dissector: Dissector = SHARED) -> None:
        self.store = store
        self.dissector = dissector
        self.when_told: Callable[[], object] = lambda: None
        """Called in the dissector's thread when a summary has come that a row was given without."""
        self._tracker = tracker
        self._own: Mapping[int, frozenset[str]] = {}
        self._rows: LruCache[Row] = LruCache(KEPT)
        """Without notes; those that have their summary."""
        self._changes: LruCache[str] = LruCache(KEPT)
        """Changes since the hop before, by the number of the later frame."""
        self._awaited: dict[int, Future[Summary]] = {}

    @property
    def own(self) -> Mapping[int, frozenset[str]]:
        """The addresses of the host of each of the store's interfaces, which tell what was sent and what received."""
        return self._own

    @own.setter
    def own(self, own: Mapping[int, frozenset[str]]) -> None:
        if own != self._own:
            self._own = own
            self._rows.clear()

    def row(self, number: int, until: float = 0.0) -> Row:
        """The row of a packet. Its summary is waited for until that time of the monotonic clock, if at all.

        Raises CaptureError if the packet can't be read any more, IndexError for a number that is not there.
        """
        row = self._rows.get(number) or self._make(number, until)
        notes = self._notes(number)
        return replace(row, notes=notes) if notes else row

    def time_before(self, number: int) -> int:
        """Time when the packet before was captured, as Row.time; for the first, its own. Raises as row()."""
        before = max(1, number - 1)
        row = self._rows.get(before)
        return self.store.time(before) if row is None else row.time

    def await_only(self, numbers: Container[int]) -> None:
        """Wait no longer for the summaries of all other packets."""
        for number in [number for number in self._awaited if number not in numbers]:
            self._awaited.pop(number).cancel()

    def forget(self) -> None:
        """Make all rows anew: more protocols are known now, or the packets are others."""
        self.await_only(())
        self._rows.clear()
        self._changes.clear()

    def _make(self, number: int, until: float) -> Row:
        """A row without notes; kept if it has its summary."""
        frame = self.store.frame(number)
        interface = self.store.interfaces[frame.interface]
        own = self._own.get(frame.interface, ())
        awaited = self._awaited.pop(number, None)
        if awaited is None:
            patience = until - time.monotonic()
            awaited = self.dissector.summarise(frame.data, interface.linktype, frame.length, patience=patience)
            if not awaited.done():
                awaited.add_done_callback(self._be_told)
        if awaited.done():
            row = make_row(frame, interface, awaited.result(), own)
            self._rows.put(number, row)
            return row
        self._awaited[number] = awaited
        from ipl_tui.packets.dissect import glance  # loads Scapy

        return make_row(frame, interface, glance(frame.data, interface.linktype, frame.length), own)

    def _be_told(self, awaited: Future[Summary]) -> None:
        if not awaited.cancelled():
            self.when_told()

    def _notes(self, number: int) -> tuple[Note, ...]:
        notes = (self._hop(number), self._loss(number), self._answer(number))
        return tuple(note for note in notes if note is not None)

    def _hop(self, number: int) -> Note | None:
        """Note on which frame was this packet one interface earlier, and what changed since; None without one."""
        if (before := self._tracker.previous(number)) is None:
            return None
        changed = self._changes.get(number)
        if changed is None:
            changed = in_brief(self._tracker.changes(number))
            self._changes.put(number, changed)
        return Note("hop", f"⇢ {before}{f', {changed}' if changed else ''}", f"⇢{before}{'Δ' * bool(changed)}")

    def _loss(self, number: int) -> Note | None:
        """Note on why it went no further; None if it did."""
        loss = self._tracker.loss(number)
        return Note("lost", f"✖ {loss}", "✖") if loss else None

    def _answer(self, number: int) -> Note | None:
        """Note on what the packet answers or is about, or what came back for it; said where the request began, not at
        each hop. None without one."""
        answer = self._tracker.request_of(number)
        if self._tracker.previous(number if answer is None else answer.request) is not None:
            return None
        if answer is not None:
            delay = f"{answer.delay / 1e6:.1f} ms"
            if answer.error is not None:
                return Note("answer", f"↯ about {answer.request}, {delay}", f"↯{answer.request}")
            if answer.again:
                return Note("answer", f"↩ second answer to {answer.request}, {delay}", f"↩↩{answer.request}")
            return Note("answer", f"↩ answers {answer.request}, {delay}", f"↩{answer.request}")
        if (response := self._tracker.response_of(number)) is None:
            return None
        back = self._tracker.request_of(response)
        word = "answered" if back is None or back.error is None else "refused"
        return Note("answer", f"{word} by {response}", f"↪{response}")
