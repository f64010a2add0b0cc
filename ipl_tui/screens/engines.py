"""The three engines side by side: what is captured of an exchange with each, and who made the request's header."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Label, Static

from ipl_tui.exchange.engines import ENGINE
from ipl_tui.packets.fields import FIELDS
from ipl_tui.packets.picture import show_value
from ipl_tui.packets.text import counted, printable
from ipl_tui.widgets.key_bar import KeyBar
from ipl_tui.widgets.scroller import Scroller

if TYPE_CHECKING:  # it loads Scapy, which the first screen must not wait for
    from ipl_tui.exchange.comparison import Comparison, Exchange, FieldOrigin

LEGEND = """\
kernel again: Linux writes Total Length and Header Checksum of all that a raw IP socket sends, also when they were \
right (raw(7))."""

BORDERS = """\
Where a message ends: a packet of raw IP has its length in its header; TCP carries a stream of bytes without borders. \
Two messages may arrive in one read, ClientMessageClientMessage, or one in two, Client and Message: a program that \
takes what one read gives for the message knows neither, and answers nothing. Ours read on until what they expect is \
there. Where nobody knows that, a length stands before each message (RFC 1035 §4.2.2): \
client --engine asyncio --framing length."""


class EnginesScreen(Screen[None]):
    """Says what it would do, does it when asked, and shows what was captured."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "compare", "Compare", id="engines.compare", tooltip="One exchange with each engine"),
        Binding("escape,v,q", "dismiss", "Back", id="engines.back", tooltip="End it, and go back to the lab"),
    ]

    def __init__(self, comparison: Comparison) -> None:
        super().__init__()
        self.comparison = comparison
        self.columns = {name: Static(each.idea, classes="engine", markup=False) for name, each in ENGINE.items()}
        self.plan = Static(printable(plan(comparison)), id="plan", markup=False)
        self.origins = Static(id="origins", markup=False)
        self.comparing = asyncio.Lock()

    def compose(self) -> ComposeResult:
        ways = f"{self.comparison.interface.full_name} {self.comparison.source} → {self.comparison.destination}"
        with Scroller(id="engines"):
            yield Label(Text(printable(f"The three engines compared, {ways}")), classes="title")
            yield self.plan
            with Horizontal(id="columns"):
                for engine, column in self.columns.items():
                    column.border_title = ENGINE[engine].title
                    yield column
            yield self.origins
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(Scroller).focus()

    @work(group="comparison")
    async def action_compare(self) -> None:
        """One exchange after the other; leaving the screen cancels those that have not begun."""
        if self.comparing.locked():
            return
        async with self.comparing:
            self.origins.update("")
            for column in self.columns.values():
                column.update("○ waits for its turn")
            exchanges = []
            for engine, column in self.columns.items():
                column.update("● asks, and waits for the answer")
                exchange = await asyncio.to_thread(self.comparison.run, engine)
                column.update(Group(*show_exchange(exchange)))
                exchanges.append(exchange)
            self.plan.update(
                f"As captured on {printable(self.comparison.interface.full_name)}: milliseconds since the first packet,"
                " direction, packet, bytes from the IP header on."
            )
            self.origins.update(Group(*show_origins(exchanges)))


def plan(comparison: Comparison) -> str:
    """Text of what would be done."""
    interface = comparison.interface.full_name
    if comparison.place is not None:
        answering = (
            f"Each is answered by a server of its own engine on {comparison.place.full_name}; the lab's responder "
            "rests while this view is open."
        )
    elif comparison.interface.of_this_machine:
        answering = (
            f"{comparison.destination} is not ours, so servers have to answer there: ipl-tui server for the first two, "
            "and ipl-tui server --engine asyncio."
        )
    else:
        answering = f"{comparison.destination} has no server, so nothing but objections will come."
    return (
        f"Nothing has been sent yet. Enter sends one ClientMessage with each engine, one after the other, and captures "
        f"on {interface} what passes. {answering}"
    )


def show_exchange(exchange: Exchange) -> Iterator[RenderableType]:
    """A column: a line for each packet, and what they sum up to."""
    if exchange.problem:
        yield Text(f"✖ {printable(exchange.problem)}\n")
    if not exchange.packets:
        return
    lines = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_header=False)
    for justify in ("right", "left", "left", "right"):
        lines.add_column(justify=justify)
    for each in exchange.packets:
        size = str(len(each.packet))
        lines.add_row(milliseconds(each.seconds), "→" if each.to_server else "←", each.what, size)
    yield lines
    count = len(exchange.packets)
    totals = f"\n{counted(count, 'packet')}, {counted(exchange.size, 'byte')}"
    if exchange.seconds is not None:
        totals += f"\nanswered in {milliseconds(exchange.seconds)} ms"
    yield Text(totals, style="bold")


def show_origins(exchanges: Sequence[Exchange]) -> Iterator[RenderableType]:
    """Below the columns: who made which field of the request's header, and what TCP has that IP has not, and the other
    way round."""
    seen = [exchange for exchange in exchanges if exchange.header]
    if not seen:
        return
    yield Text("Who made the IPv4 header of the request", style="bold")
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="")
    table.add_column("Field", no_wrap=True)
    for exchange in seen:
        table.add_column(ENGINE[exchange.engine].title)
    origins = [show_header(exchange.header) for exchange in seen]
    for field in FIELDS:
        table.add_row(field.label, *(origin.get(field.name, "") for origin in origins))
    yield table
    if any(each.again for exchange in seen for each in exchange.header):
        yield Text(LEGEND)
    gains = [gain for exchange in seen for gain in exchange.gains]
    if gains:
        yield Text("\nWhat TCP's header adds, and raw IP lacks", style="bold")
    for gain in gains:
        yield Text.assemble((f"{gain.name}: ", "bold"), f"{gain.value}. {gain.meaning} ({gain.rfc})")
    if gains:
        yield Text("\nWhat raw IP has, and TCP takes away", style="bold")
        yield Text(BORDERS)


def show_header(header: Sequence[FieldOrigin]) -> dict[str, Text]:
    """Each field's value, and beside it who made it."""
    values = {made.field: show_value(made.field, made.value) for made in header}
    width = max(map(len, values.values()))
    shown = {}
    for made in header:
        maker = "bold" if made.maker == "program" else ""
        shown[made.field] = Text.assemble(f"{values[made.field]:<{width}} ", (made.maker, maker))
        if made.again:
            shown[made.field].append(", kernel again")
    return shown


def milliseconds(seconds: float) -> str:
    """In at most five characters, as long as it is less than 100 s."""
    return f"{1000 * seconds:.2f}" if seconds < 0.1 else f"{1000 * seconds:.0f}"
