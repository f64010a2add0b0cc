"""The list of packets: virtual, so that only the rows on screen are ever read and dissected."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive, var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import NO_TIME, Frame
from ipl_tui.capture.store import Store
from ipl_tui.packets.budget import SHARED, Dissector
from ipl_tui.packets.text import printable
from ipl_tui.tracking.changes import in_brief
from ipl_tui.tracking.tracker import Tracker

if TYPE_CHECKING:  # loads Scapy, which the first screen must not wait for
    from ipl_tui.packets.dissect import Summary

TIMES = ("since the start", "since the previous packet", "time of day")
SENT, RECEIVED, TO_ITSELF, PASSING = "→", "←", "↻", "·"

PATIENCE = 0.02
"""Seconds that a drawing waits for the summaries of its rows: a screen full of ordinary packets takes no longer, and
its rows are then drawn once."""


class PacketList(ScrollView, can_focus=True):
    """Packets in arrival order. It follows new ones until the user scrolls up, and again from the end on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Previous packet", show=False, id="packets.previous"),
        Binding("down,j", "move(1)", "Next packet", show=False, id="packets.next"),
        Binding("pageup", "move_page(-1)", "Page up", show=False, id="packets.page_up"),
        Binding("pagedown", "move_page(1)", "Page down", show=False, id="packets.page_down"),
        Binding("home,g", "first", "First packet", show=False, id="packets.first"),
        Binding("end,G", "last", "Last packet, and follow", show=False, id="packets.last"),
        Binding("t", "next_time", "Time format", id="packets.time", tooltip="Seconds since the start, since the "
                "previous packet, or the time of day"),
        Binding("enter", "open", "Read packet", show=False, id="packets.open"),
    ]  # fmt: skip

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "packet-list--head",
        "packet-list--selected",
        "packet-list--sent",
        "packet-list--received",
        "packet-list--answer",
        "packet-list--hop",
        "packet-list--lost",
    }

    count: var[int] = var(0)
    """How many packets are shown: all of them, or those that had come when the view was paused."""

    selected: reactive[int] = reactive(0)
    """The number of the selected packet; 0 while there is none."""

    times: reactive[str] = reactive(TIMES[0])
    """What the Time column counts from: one of TIMES."""

    following: var[bool] = var(True)
    """Whether the list stays at its end as packets arrive."""

    class Selected(Message):
        """Another packet is selected."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class Opened(Message):
        """The user wants to read the selected packet."""

    def __init__(self, store: Store, tracker: Tracker, dissector: Dissector = SHARED, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.store = store
        self.tracker = tracker
        self.own: Mapping[int, frozenset[str]] = {}
        """The addresses of each of the store's interfaces, which tell what was sent and what received."""
        self.elapsed = 0
        """From the first packet that has a time to the last that is shown, in ns."""
        self.dissector = dissector
        self.summaries: LRUCache[int, Summary] = LRUCache(1024)
        self.awaited: dict[int, Future[Summary]] = {}
        """The summaries that rows in view are still without."""
        self.patient_until = 0.0
        """When this drawing waits for summaries no longer, by the monotonic clock."""
        self.looks: dict[str, Style] = {}
        """The styles of the parts of a row: finding one takes longer than drawing a row with it."""

    # What arrives

    def show_up_to(self, count: int) -> None:
        """Show the first `count` packets of the store."""
        if count == self.count:
            return
        first_new, self.count = self.count + 1, count
        with suppress(CaptureError):  # the rows say that the file was changed below us
            if (last := self.store.time(count)) != NO_TIME and self.store.began is not None:
                self.elapsed = last - self.store.began
        self.fit()
        if not self.selected and count:
            self.select(1)
        if self.following:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)
        if first_new <= self.top + self.page:
            self.refresh()

    def forget_summaries(self) -> None:
        """Dissect the rows anew: more protocols are known now."""
        self.drop_awaited(self.awaited)
        self.summaries.clear()
        self.refresh()

    # Moving

    @property
    def page(self) -> int:
        """Rows of packets that fit below the head."""
        return max(1, self.scrollable_content_region.height - 1)

    @property
    def top(self) -> int:
        """The number of the packet in the first row."""
        return self.scroll_offset.y + 1

    def select(self, number: int) -> None:
        """Select a packet and bring it into view."""
        number = max(1, min(number, self.count))
        if not self.count or number == self.selected:
            return
        self.selected = number
        self.post_message(self.Selected(number))

    def reveal(self) -> None:
        """Scroll no further than needed for the selected packet to be seen."""
        if self.selected < self.top:
            self.scroll_to(y=self.selected - 1, animate=False, immediate=True)
        elif self.selected >= self.top + self.page:
            self.scroll_to(y=self.selected - self.page, animate=False, immediate=True)

    def action_move(self, by: int) -> None:
        self.select(self.selected + by)
        self.reveal()

    def action_move_page(self, by: int) -> None:
        self.action_move(by * self.page)

    def action_first(self) -> None:
        self.select(1)
        self.reveal()

    def action_last(self) -> None:
        self.select(self.count)
        self.following = True
        self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)

    def action_next_time(self) -> None:
        self.times = TIMES[(TIMES.index(self.times) + 1) % len(TIMES)]

    def action_open(self) -> None:
        if self.selected:
            self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is not None and at.y >= 1 and (number := self.top + at.y - 1) <= self.count:
            self.select(number)
            if event.chain == 2:
                self.action_open()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value:
            self.following = False
        if new_value >= self.max_scroll_y:
            self.following = True

    def fit(self) -> None:
        """Let the scroll bar span all packets, without a new layout of the whole screen for every one that arrives."""
        self.set_reactive(PacketList.virtual_size, Size(self.size.width, self.count + 1))
        self.vertical_scrollbar.window_virtual_size = self.count + 1

    def on_resize(self) -> None:
        self.fit()
        if self.following:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw some rows: what is out of view is not waited for."""
        self.patient_until = time.monotonic() + PATIENCE
        self.drop_awaited([number for number in self.awaited if not self.top <= number < self.top + self.page])
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        names = [printable(interface.name) for interface in self.store.interfaces]
        columns = Columns.fit(width, self.count, self.times, names, self.elapsed)
        number = self.top + y - 1
        if y == 0:
            style = self.look() + self.look("head")
            return Strip([Segment(columns.head(), style)]).adjust_cell_length(width, style)
        if number > self.count:
            return Strip.blank(width, self.look())
        try:
            segments = self.row(number, columns)
        except CaptureError as error:  # the file was changed below us
            segments = [Segment(printable(str(error)), self.look())]
        return Strip(segments).adjust_cell_length(width, self.look())

    def row(self, number: int, columns: Columns) -> list[Segment]:
        """A packet's line."""
        frame = self.store.frame(number)
        summary = self.summary(frame)
        base = self.look()
        if selected := number == self.selected:
            base += self.look("selected")
        direction = self.direction(frame, summary)
        arrow = {SENT: "sent", RECEIVED: "received"}.get(direction)
        line = columns.line(
            f"▸{number}" if selected else str(number),
            self.show_time(frame),
            printable(self.store.interfaces[frame.interface].name),  # a file may name it anything
            summary.source,
            direction,
            summary.destination,
            summary.protocol,
            str(frame.length),
        )
        info = ": ".join(filter(None, (frame.cut, summary.info)))
        segments = [Segment(line, base + self.look(arrow) if arrow else base), Segment(info, base)]
        loss, joined = self.tracker.loss(number), self.joined(number, columns.roomy)
        lost = f"✖ {loss}" if loss and columns.roomy else "✖" if loss else ""
        before = [("hop", self.hop(number, columns.roomy)), ("lost", lost)]
        after = [("answer", joined)]
        if not columns.roomy:  # the info would push it out of view
            before, after = [*before, ("answer", joined)], []
        segments[1:1] = [Segment(f"{note} ", base + self.look(part)) for part, note in before if note]
        segments += [Segment(f"  {note}", base + self.look(part)) for part, note in after if note]
        return [*segments, Segment(" " * self.size.width, base)]

    def summary(self, frame: Frame) -> Summary:
        """What a packet's row says: all of it, or until that is known what its first headers say."""
        number = frame.number
        known = self.summaries.get(number)
        if known is not None:
            return known
        linktype = self.store.interfaces[frame.interface].linktype
        awaited = self.awaited.get(number)
        if awaited is None:
            awaited = self.dissector.summarise(
                frame.data, linktype, frame.length, patience=self.patient_until - time.monotonic()
            )
            if awaited.done():
                self.summaries[number] = awaited.result()
                return awaited.result()
            self.awaited[number] = awaited
            awaited.add_done_callback(self.be_told)
        from ipl_tui.packets.dissect import glance  # loads Scapy

        return glance(frame.data, linktype, frame.length)

    def be_told(self, _: object) -> None:
        """A summary has come: said by the dissector's thread, from which posting is safe."""
        with suppress(RuntimeError):  # the app has ended
            self.call_later(self.fill_in)

    def fill_in(self) -> None:
        """Take the summaries that have come, for the rows that were drawn without."""
        come = [number for number, awaited in self.awaited.items() if awaited.done()]
        for number in come:
            self.summaries[number] = self.awaited.pop(number).result()
        if come:
            self.refresh()

    def drop_awaited(self, numbers: Iterable[int]) -> None:
        """Wait no longer for the summaries of some packets."""
        for number in list(numbers):
            self.awaited.pop(number).cancel()

    def look(self, part: str = "") -> Style:
        """The style of a part of a row, or of the row itself."""
        if part not in self.looks:
            own = f"packet-list--{part}"
            self.looks[part] = self.get_component_rich_style(own, partial=True) if part else self.rich_style
        return self.looks[part]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.looks.clear()

    def show_time(self, frame: Frame) -> str:
        """When a packet came: seconds to the microsecond, or the time of day; "-" where nobody wrote it down."""
        if frame.time == NO_TIME:
            return "-"
        if self.times == TIMES[2]:
            second, part = divmod(frame.time, 10**9)
            try:
                of_day = datetime.fromtimestamp(second)
            except (ValueError, OverflowError, OSError):  # no year from 1 to 9999; nobody knows its summer time either
                of_day = datetime(1970, 1, 1) + timedelta(seconds=second % 86_400)
            return f"{of_day:%H:%M:%S}.{part // 1000:06d}"
        since = self.store.began if self.times == TIMES[0] else self.store.time(max(1, frame.number - 1))
        return "-" if since in (None, NO_TIME) else f"{(frame.time - since) / 1e9:.6f}"

    def direction(self, frame: Frame, summary: Summary) -> str:
        """Where a packet went, seen from the interface it was captured on: by the link header or else by addresses."""
        own = self.own.get(frame.interface, frozenset())
        destination, source = (frame.data[at : at + 6].hex(":") for at in (0, 6))
        match summary.source in own or source in own, summary.destination in own or destination in own:
            case True, True:
                return TO_ITSELF
            case True, False:
                return SENT
            case False, True:
                return RECEIVED
        return PASSING

    def hop(self, number: int, roomy: bool) -> str:
        """Which frame was this packet one interface earlier, and what changed since."""
        if (before := self.tracker.previous(number)) is None:
            return ""
        changed = in_brief(self.tracker.changes(number))
        return f"⇢ {before}{f', {changed}' if changed else ''}" if roomy else f"⇢{before}{'Δ' * bool(changed)}"

    def joined(self, number: int, roomy: bool) -> str:
        """What the packet answers or is about, or what came back for it; said where the request began, not at each
        hop."""
        answer, previous = self.tracker.request_of(number), self.tracker.previous
        if previous(answer.request if answer is not None else number) is not None:
            return ""
        if answer is not None:
            if answer.error is not None:
                return f"↯ about {answer.request}, {answer.delay / 1e6:.1f} ms" if roomy else f"↯{answer.request}"
            sign, what = ("↩↩", "second answer to") if answer.again else ("↩", "answers")
            return f"↩ {what} {answer.request}, {answer.delay / 1e6:.1f} ms" if roomy else f"{sign}{answer.request}"
        if (response := self.tracker.response_of(number)) is not None:
            back = self.tracker.request_of(response)
            word = "answered" if back is None or back.error is None else "refused"
            return f"{word} by {response}" if roomy else f"↪{response}"
        return ""


@dataclass(frozen=True)
class Columns:
    """The widths of the columns before Info, in cells; an interface column only where there is more than one."""

    number: int
    time: int
    interface: int
    address: int
    protocol: int
    length: int
    roomy: bool
    """Whether there is room for more than the most needed."""

    @classmethod
    def fit(cls, width: int, count: int, times: str, interfaces: Sequence[str], elapsed: int = 0) -> Columns:
        """The columns for a list of `count` packets over `elapsed` ns that is `width` cells wide."""
        roomy = width >= 100
        several = len(set(interfaces)) > 1
        return cls(
            number=max(7 if roomy else 4, len(str(count)) + 1),
            time=15 if times == TIMES[2] else max(12 if roomy else 9, len(f"{elapsed / 1e9:.6f}")),
            interface=min(15, max(map(len, ["Interface" if roomy else "On", *interfaces]))) if several else 0,
            address=18 if width >= 120 else 15,
            protocol=8 if roomy else 5,
            length=6 if roomy else 5,
            roomy=roomy,
        )

    def line(self, number: str, time: str, interface: str, source: str, arrow: str, destination: str,
             protocol: str, length: str) -> str:  # fmt: skip
        """One line of cells up to Info, each cut to its width."""
        cells = [
            number.rjust(self.number),
            fit(time.rjust(self.time), self.time),
            *([fit(interface, self.interface)] if self.interface else []),
            f"{fit(source, self.address)} {arrow} {fit(destination, self.address)}",
            fit(protocol, self.protocol),
            fit(length.rjust(self.length), self.length),
        ]
        return " ".join(cells) + "  "

    def head(self) -> str:
        interface, protocol, length = ("Interface", "Protocol", "Length") if self.roomy else ("On", "Proto", "Bytes")
        return self.line("No.", "Time", interface, "Source", " ", "Destination", protocol, length) + "Info"


def fit(text: str, width: int) -> str:
    """Text cut or filled to a width; what was cut shows as an ellipsis."""
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
