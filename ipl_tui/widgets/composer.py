"""The composer: the header grid to fill in, the payload, and how to send them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import ClassVar, Literal, NoReturn

from rich.text import Text
from textual import events, on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import var
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Select, Static

from ipl_tui.networks.interface import Interface, Method
from ipl_tui.networks.sending import LONGEST_INTERVAL, MOST_PACKETS, SHORTEST_INTERVAL, Order, caveats
from ipl_tui.packets.craft import (
    PRESETS,
    Crafted,
    Draft,
    Preset,
    Problem,
    craft,
    payload_hex,
    payload_text,
    read_entries,
    write_entries,
)
from ipl_tui.packets.fields import FIELD
from ipl_tui.packets.ipv4 import header_bytes
from ipl_tui.packets.picture import show_value
from ipl_tui.packets.text import printable
from ipl_tui.session.snapshot import Notice
from ipl_tui.widgets.header_grid import VALID, HeaderForm, HeaderGrid
from ipl_tui.widgets.key_context import KeyNames
from ipl_tui.widgets.letters import Chooser, KeepsLetters
from ipl_tui.widgets.meaning import Meaning, Said

METHODS: tuple[Literal["auto"] | Method, ...] = ("auto", "exact", "kernel")
METHOD_HELP = "exact: the bytes as composed; kernel: through a raw socket; auto: exact wherever it delivers"


class Presets(KeepsLetters, Select[Preset]):
    """The drop-down of the presets. Enter or the space bar opens it; up and down go on, as in all the composer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "show_overlay", "Presets", show=False, id="presets.open"),
        Binding("up,down", "leave", "Row above or below", show=False, id="presets.leave"),
    ]
    KEYS_TITLE: ClassVar[str] = "Preset"

    def action_leave(self) -> NoReturn:
        """Leave these keys to the composer, though a drop-down opens with them."""
        raise SkipAction


class Composer(Widget):
    """A draft, checked as it is typed, and the order to send it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "turn_payload", "Payload text or hex", show=False, id="composer.payload",
                tooltip="Type the payload as text with escapes, or as hex"),
        Binding("ctrl+r", "reset", "Reset the draft", show=False, id="composer.reset",
                tooltip="Start all of it again: the preset, to the interface's destination, sent once"),
        Binding("ctrl+l", "next_method", "Sending method", show=False, id="composer.method",
                tooltip=METHOD_HELP),
        Binding("up", "step_row(-1)", "Row above", show=False, id="composer.above"),
        Binding("down", "step_row(1)", "Row below", show=False, id="composer.below"),
    ]  # fmt: skip
    KEYS_TITLE: ClassVar[str] = "Composer"

    interface: var[Interface | None] = var(None)
    """Interface where the draft would be sent: it gives the automatic source and the method. None before one is chosen.
    """

    hexadecimal: var[bool] = var(False)
    """True while the payload is typed as hex."""

    method: var[Literal["auto"] | Method] = var("auto")

    line: var[Text] = var(Text())
    """What is said about the draft, or what became of it."""

    sending: var[bool] = var(False)
    """True while an order is under way."""

    class SendAsked(Message):
        """The user wants the draft sent."""

        def __init__(self, order: Order) -> None:
            super().__init__()
            self.order = order

    class Explaining(Message):
        """The user went on to another field, or types in one."""

    class StopAsked(Message):
        """The user wants no more packets of the order to be sent."""

    def __init__(self, *, id: str | None = None, key_names: KeyNames | None = None) -> None:
        super().__init__(id=id)
        self.in_force = (key_names or KeyNames()).in_force
        """Puts the keys in force into a sentence."""
        self.crafted: Crafted | None = None
        """The packet as it would be sent now; None while a problem blocks it."""
        self.problems: tuple[Problem, ...] = ()

        self.form = HeaderForm(id="draft")
        self.presets = Presets(
            [(preset.name, preset) for preset in PRESETS],
            id="preset", allow_blank=False, compact=True, value=PRESETS[0],
        )  # fmt: skip
        self.payload = Input(id="payload", classes=VALID, compact=True, placeholder="empty")
        self.payload_form = Chooser("text", id="payload-form", compact=True, tooltip="Type it as text, or as hex")
        self.send_button = Button(self.in_force("Send F5"), id="send", compact=True, variant="primary")
        self.count = Input(id="count", classes=VALID, compact=True, tooltip="How many packets to send")
        self.interval = Input(id="interval", classes=VALID, compact=True, tooltip="Seconds from one packet to the next")
        self.method_button = Chooser("auto", id="method", compact=True, tooltip=METHOD_HELP)
        self.verdict = Static(id="verdict", markup=False)
        self.offer = Button(self.in_force("Capture without the filter  Ctrl+O"), id="unfiltered", compact=True)
        """There while a capture filter is said to be in the way; whoever captures has to act on it."""
        self.meaning = Meaning(id="draft-meaning")

    def compose(self) -> ComposeResult:
        yield self.form
        with Horizontal(classes="row"):
            yield Label("Payload as")
            yield self.payload_form
            yield self.payload
        with Horizontal(classes="row"):
            yield self.presets
            yield self.send_button
            yield self.count
            yield Label("× every")
            yield self.interval
            yield Label("s")
            yield self.method_button
        yield self.verdict
        yield self.offer
        yield self.meaning

    def on_mount(self) -> None:
        self.begin_with(PRESETS[0])  # only now: an Input made with a value wants a screen

    def begin_with(self, preset: Preset) -> None:
        """Have everything as it is at the start, with a preset."""
        self.count.value, self.interval.value = "1", "1.0"
        self.method = "auto"
        self.hexadecimal = False
        self.form.inputs["dst"].value = destination_of(self.interface)
        self.fill(preset)

    def enter(self) -> None:
        """Go to the header's first cell that is often typed in."""
        self.form.inputs["ttl"].focus()

    @on(HeaderForm.Left)
    def go_on(self, event: HeaderForm.Left) -> None:
        event.stop()
        self.action_step_row(event.by)

    def action_step_row(self, by: int) -> None:
        """Go to the row above or below: the header's last one, and those below it."""
        rows = [self.form.inputs["options"], self.payload, self.presets]
        focused = self.screen.focused
        here = next((at for at, row in enumerate(rows) if focused is not None and row.parent is focused.parent), None)
        if here is not None and 0 <= here + by < len(rows):
            rows[here + by].focus()

    # The draft

    @property
    def destination(self) -> str:
        """The dotted quad that the draft goes to; empty while none is there."""
        try:
            return str(IPv4Address(self.form.entries["dst"].strip()))
        except ValueError:
            return ""

    def fill(self, preset: Preset) -> None:
        """Start from a preset, keeping the destination that stands there."""
        entries, payload = write_entries(preset.draft)
        if self.hexadecimal:
            payload = payload_hex(preset.draft.payload)
        self.payload.value = payload
        self.form.fill({**entries, "dst": self.form.entries["dst"]})

    def watch_interface(self, old: Interface | None, interface: Interface | None) -> None:
        """Offer the addresses of the new interface; a destination nobody touched moves with it."""
        if interface is None:
            return
        own = [str(address.ip) for address in interface.addresses]
        source, destination = (self.form.query_one(f"#cell-{name}", Input) for name in ("src", "dst"))
        source.suggester = destination.suggester = SuggestFromList(own)
        if destination.value == destination_of(old):
            with self.prevent(Input.Changed):  # it is checked below; later, what is said meanwhile would be gone
                destination.value = destination_of(interface)
        destination.placeholder = f"in {interface.addresses[0].network}" if interface.addresses else "10.0.1.20"
        self.check_draft()

    @on(HeaderForm.Edited)
    @on(Input.Changed, "#payload")
    def check_draft(self) -> None:
        """Read what was typed; show what it becomes, and what is the matter with it."""
        draft, self.problems = read_entries(self.form.entries, self.payload.value, self.hexadecimal)
        self.crafted = None if draft is None else craft(draft, self.source_for(draft.dst))
        if self.crafted is not None:
            self.problems = (*self.crafted.problems, *self.caveats(self.crafted))
        self.form.header = header_bytes(self.crafted.packet) if self.crafted is not None else b""
        automatic = self.automatic_values()
        self.form.show_automatic({name: show_value(name, value) for name, value in automatic.items()})
        marked = [problem for problem in reversed(self.problems) if problem.field in FIELD]
        self.form.marks = {problem.field: "error" if problem.blocks else "warning" for problem in marked}
        self.payload.set_class(any(p.field == "payload" for p in self.problems), "-wrong")
        self.send_button.disabled = self.crafted is None and not self.sending
        self.show_verdict()
        self.show_method()
        self.explain_chosen()

    def caveats(self, crafted: Crafted) -> list[Problem]:
        """Problems that the way out will make of the packet."""
        if self.interface is None:
            return []
        destination = str(crafted.values["dst"])
        return caveats(crafted.packet, self.method_for(destination), self.interface.choose_method(destination))

    def automatic_values(self) -> Mapping[str, int | str | bytes]:
        """Values that the header will have; while a field cannot be read, those that do not depend on it."""
        if self.crafted is not None:
            return self.crafted.values
        defaults, _ = write_entries(Draft())
        unread = {problem.field for problem in self.problems}
        readable = {name: entry for name, entry in self.form.entries.items() if name not in unread}
        draft, _ = read_entries({**defaults, **readable}, "", self.hexadecimal)
        if draft is None:
            return {}
        values = craft(draft, self.source_for("0.0.0.0" if "dst" in unread else draft.dst)).values
        return {name: value for name, value in values.items() if name not in ("chksum", "len")}

    def source_for(self, destination: str) -> str:
        return self.interface.source_for(destination) if self.interface is not None else "0.0.0.0"

    def show_verdict(self) -> None:
        """Say what is the matter with the chosen field, else with the first that has a problem."""
        troubled = [problem.field for problem in self.problems]
        if not troubled:
            assert self.crafted is not None, "without a problem there is a packet"
            self.say(f"{len(self.crafted.packet)} bytes, no problems")
            return
        field = self.form.chosen if self.form.chosen in troubled else troubled[0]
        mine = [problem for problem in self.problems if problem.field == field]
        more = len(self.problems) - len(mine)
        text = " ".join(problem.text for problem in mine) + (f" (and {more} more)" if more else "")
        self.say(text, "error" if mine[0].blocks else "warning")

    def say(self, text: str, kind: Literal["", "error", "warning"] = "", offer: bool = False) -> None:
        """One line about the draft or what became of it, perhaps with the offer to capture without the filter."""
        verdict = self.verdict
        self.offer.display = offer
        self.line = Text({"error": "✖ ", "warning": "▲ "}.get(kind, "") + printable(text))
        verdict.update(self.line, layout=False)
        if verdict.get_content_height(self.size, self.app.size, verdict.size.width) != verdict.size.height:
            verdict.refresh(layout=True)  # only then: what else has changed is drawn a moment later when it must
        self.verdict.set_class(kind == "error", "-error")
        self.verdict.set_class(kind == "warning", "-warning")

    def hear(self, said: Notice) -> None:
        """Say what came of an order; that nothing did also to a user whose screen shows another pane."""
        match said.about:
            case "refusal":
                self.refuse(said.text)
            case "icmp error":
                self.say(said.text, "warning")
            case "silence":
                self.say(said.text, "warning", said.offers_all)
                (self.offer if said.offers_all else self.verdict).scroll_visible(animate=False)
                if not self.is_on_screen:  # where the panes do not all fit
                    self.notify(said.text, title="No answer", severity="warning", markup=False)
            case _:
                self.say(said.text)

    def refuse(self, sentence: str) -> None:
        """Say why nothing is sent, also to a user whose screen shows another pane."""
        self.say(sentence, "error")
        if not self.is_on_screen:
            self.notify(sentence, title="Not sent", severity="error", markup=False)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Explain nothing where no field of the header has the focus."""
        if self.form not in event.widget.ancestors:
            self.form.chosen = ""
            self.meaning.said = Said()

    @on(HeaderForm.FieldChosen)
    def explain(self, event: HeaderGrid.FieldChosen) -> None:
        event.stop()
        self.explain_chosen()
        if self.problems:
            self.show_verdict()

    def explain_chosen(self) -> None:
        """Explain the field one is in, and what its value says, if the draft can be read."""
        self.post_message(self.Explaining())
        if self.form.chosen:
            from ipl_tui.packets.explanations.table import EXPLAINED

            header = self.crafted.packet if self.crafted is not None else b""
            self.meaning.explain(EXPLAINED[self.form.chosen], header=header)

    # The payload

    @on(Button.Pressed, "#payload-form")
    def action_turn_payload(self) -> None:
        """Go from text to hex or back, if what stands there can be read."""
        harmless, _ = write_entries(Draft())
        draft, problems = read_entries(harmless, self.payload.value, self.hexadecimal)
        if draft is None:
            self.say(problems[0].text, "error")
            return
        self.hexadecimal = not self.hexadecimal
        self.payload.value = payload_hex(draft.payload) if self.hexadecimal else payload_text(draft.payload)

    # Sending

    @on(Select.Changed, "#preset")
    def preset_chosen(self, event: Select.Changed) -> None:
        event.stop()
        if isinstance(event.value, Preset):
            self.fill(event.value)

    def action_reset(self) -> None:
        preset = self.presets.value
        assert isinstance(preset, Preset), "one is always chosen"
        self.begin_with(preset)

    @on(Button.Pressed, "#method")
    def action_next_method(self) -> None:
        self.method = METHODS[(METHODS.index(self.method) + 1) % len(METHODS)]
        self.check_draft()

    def method_for(self, destination: str) -> Method:
        """The method that the user chose, or that the interface chooses for a destination."""
        if self.method != "auto":
            return self.method
        return self.interface.choose_method(destination) if self.interface is not None else "exact"

    def show_method(self) -> None:
        label: str = self.method
        if label == "auto" and self.crafted is not None:
            label = f"auto: {self.method_for(str(self.crafted.values['dst']))}"
        self.method_button.label = label

    def watch_hexadecimal(self, hexadecimal: bool) -> None:
        self.payload_form.label = "hex" if hexadecimal else "text"

    def watch_sending(self, sending: bool) -> None:
        self.send_button.label = self.in_force("Stop F5" if sending else "Send F5")

    @on(Button.Pressed, "#send")
    @on(Input.Submitted)
    def ask(self) -> None:
        """Ask for the draft to be sent as often as the form says, or for that to stop."""
        if self.sending:
            self.post_message(self.StopAsked())
            return
        if self.crafted is None:
            self.refuse(self.problems[0].text)
            return
        try:
            count = int(read_number(self.count.value, "The count", 1, MOST_PACKETS, int))
            interval = read_number(self.interval.value, "The interval", SHORTEST_INTERVAL, LONGEST_INTERVAL)
        except ValueError as error:
            self.refuse(str(error))
            return
        method = self.method_for(str(self.crafted.values["dst"]))
        self.post_message(self.SendAsked(Order(self.crafted.packet, method, count, interval)))


def destination_of(interface: Interface | None) -> str:
    """Destination of a new draft, if that is known."""
    return interface.destination if interface is not None else ""


def read_number(text: str, what: str, least: float, most: float, kind: type[float] = float) -> float:
    """A number the user typed. Raises ValueError with a sentence."""
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        whole = "whole " if kind is int else ""
        raise ValueError(f"{what} needs a {whole}number from {least:g} to {most:,.0f}.")
    return number
