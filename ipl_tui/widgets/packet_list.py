"""The list of packets: virtual, so that only the rows on screen are ever read and dissected."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive, var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import NO_TIME
from ipl_tui.packets.budget import PROMPT
from ipl_tui.packets.text import in_columns, printable
from ipl_tui.session.rows import RECEIVED, SENT, Row, Rows, seconds_since, time_of_day

TIMES = ("since the start", "since the previous packet", "time of day")


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
    KEYS_TITLE: ClassVar[str] = "Packets"

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
    """Number of packets that are shown: all of them, or those that had come when the view was paused."""

    selected: reactive[int] = reactive(0)
    """The number of the selected packet; 0 while there is none."""

    times: reactive[str] = reactive(TIMES[0])
    """Zero of the Time column: one of TIMES."""

    following: var[bool] = var(True)
    """True while the list stays at its end as packets arrive."""

    instead: reactive[Sequence[str]] = reactive(())
    """Lines that stand there while there is no packet."""

    class Selected(Message):
        """Another packet is selected."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class Opened(Message):
        """The user wants to read the selected packet."""

    def __init__(self, rows: Rows, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows = rows
        rows.when_told = self.be_told
        self.elapsed = 0
        """From the first packet that has a time to the last that is shown, in ns."""
        self.patient_until = 0.0
        """Time until which this drawing waits for summaries, seconds of the monotonic clock."""
        self.looks: dict[str, Style] = {}
        """The styles of the parts of a row: finding one takes longer than drawing a row with it."""

    # What arrives

    def show_up_to(self, count: int) -> None:
        """Show the first `count` packets of the store."""
        if count == self.count:
            return
        first_new, self.count = self.count + 1, count
        with suppress(CaptureError):  # the rows say that the file was changed below us
            store = self.rows.store
            if (last := store.time(count)) != NO_TIME and store.began is not None:
                self.elapsed = last - store.began
        self.fit()
        if not self.selected and count:
            self.select(1)
        if self.following:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)
        if first_new <= self.top + self.page:
            self.refresh()

    def forget(self) -> None:
        """Show no packet: those that were there are gone."""
        self.rows.forget()
        self.count = self.selected = self.elapsed = 0
        self.fit()
        self.scroll_to(y=0, animate=False, immediate=True)
        self.following = True
        self.refresh()

    def forget_summaries(self) -> None:
        """Dissect the rows anew: more protocols are known now."""
        self.rows.forget()
        self.refresh()

    def be_told(self) -> None:
        """A summary has come: said by the dissector's thread, from which posting is safe."""
        with suppress(RuntimeError):  # the app has ended
            self.call_later(self.refresh)

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
        self.patient_until = time.monotonic() + PROMPT
        self.rows.await_only(range(self.top, self.top + self.page))
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        names = [in_columns(interface.name) for interface in self.rows.store.interfaces]
        columns = Columns.fit(width, self.count, self.times, names, self.elapsed)
        number = self.top + y - 1
        if y == 0:
            style = self.look() + self.look("head")
            return Strip([Segment(columns.head(), style)]).adjust_cell_length(width, style)
        if number > self.count:
            text = self.instead[y - 2] if not self.count and 2 <= y < 2 + len(self.instead) else ""
            return Strip([Segment(f"  {text}", self.look())]).adjust_cell_length(width, self.look())
        try:
            segments = self.draw(self.rows.row(number, self.patient_until), columns)
        except CaptureError as error:  # the file was changed below us
            segments = [Segment(printable(str(error)), self.look())]
        return Strip(segments).adjust_cell_length(width, self.look())

    def draw(self, row: Row, columns: Columns) -> list[Segment]:
        """A packet's line. Raises CaptureError."""
        base = self.look()
        if selected := row.number == self.selected:
            base += self.look("selected")

        def look(kind: str) -> Style:  # not every colour can be read on that of the cursor
            return base if selected and self.has_focus else base + self.look(kind)

        arrow = {SENT: "sent", RECEIVED: "received"}.get(row.direction)
        line = columns.line(
            f"▸{row.number}" if selected else str(row.number),
            self.show_time(row),
            row.interface,
            row.source,
            row.direction,
            row.destination,
            row.protocol,
            str(row.length),
        )
        segments = [Segment(line, look(arrow) if arrow else base), Segment(row.info, base)]
        # Where there is little room, the info would push the answer out of view.
        before = [note for note in row.notes if note.kind != "answer" or not columns.roomy]
        segments[1:1] = [Segment(f"{note.text if columns.roomy else note.brief} ", look(note.kind)) for note in before]
        after = [note for note in row.notes if note not in before]
        segments += [Segment(f"  {note.text}", look(note.kind)) for note in after]
        return [*segments, Segment(" " * self.size.width, base)]

    def look(self, part: str = "") -> Style:
        """The style of a part of a row, or of the row itself."""
        if part not in self.looks:
            own = f"packet-list--{part}"
            self.looks[part] = self.get_component_rich_style(own, partial=True) if part else self.rich_style
        return self.looks[part]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.looks.clear()

    def show_time(self, row: Row) -> str:
        """Text of a packet's time: seconds to the microsecond, or the time of day; "-" where nobody wrote it down.
        Raises CaptureError."""
        if self.times == TIMES[2]:
            return time_of_day(row.time)
        if self.times == TIMES[1]:
            return seconds_since(self.rows.time_before(row.number), row.time)
        return seconds_since(self.rows.store.began, row.time)


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
    """True if there is room for more than the most needed."""

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
