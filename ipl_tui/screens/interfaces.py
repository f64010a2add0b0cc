"""Choosing an interface: the networks, what each is for, and what their interfaces can and can't do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from ipl_tui.networks.interface import Ability, Interface, Network
from ipl_tui.packets.text import printable


class InterfaceScreen(ModalScreen[Interface | None]):
    """The interfaces of every network. Gives the one chosen, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f2", "dismiss", "Back", id="interfaces.back"),
        Binding("j", "down", "Next", show=False, id="interfaces.next"),
        Binding("k", "up", "Previous", show=False, id="interfaces.previous"),
    ]

    def __init__(self, networks: Sequence[Network], current: Interface) -> None:
        super().__init__()
        self.networks = networks
        self.current = current
        self.choices: list[Interface] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label("Interface: where packets are captured and sent", classes="title")
            yield OptionList(markup=False)
            yield Label("Enter chooses, Esc goes back", classes="hint")

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        for network in self.networks:
            interfaces = network.interfaces()
            obstacles = [interface.obstacles() for interface in interfaces]
            # What stands in the way of a whole network is said once, below its name.
            common = obstacles[0] if len(obstacles) > 1 and all(o == obstacles[0] for o in obstacles) else []
            options.add_option(Option(title(network, common), disabled=True))
            for interface, obstacle in zip(interfaces, obstacles, strict=True):
                self.choices.append(interface)
                own = [line for line in obstacle if line not in common]
                options.add_option(Option(describe(interface, own), id=str(len(self.choices) - 1)))
                is_current = (interface.network, interface.name) == (self.current.network, self.current.name)
                if is_current or options.highlighted is None:
                    options.highlighted = options.option_count - 1

    def action_down(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        self.query_one(OptionList).action_cursor_up()

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        assert event.option_id is not None, "the titles of networks cannot be selected"
        self.dismiss(self.choices[int(event.option_id)])


def title(network: Network, obstacles: Sequence[str]) -> Text:
    """A network's name, what it is for, and what keeps all its interfaces from being used."""
    text = Text.assemble((network.name, "bold"), f"  {network.purpose}")
    for line in obstacles:
        text.append(f"\n✖ {printable(line)}")
    return text


def describe(interface: Interface, obstacles: Sequence[str]) -> Text:
    """An interface in a line: where and what it is; more where something can't be done there, and why."""
    where = f"{interface.host:<7} {interface.name}" if interface.host else printable(interface.name)
    text = Text(f"  {where:<12} {interface.state:<10} {interface.properties}")
    abilities = interface.abilities()
    if not all(ability.possible for ability in abilities.values()):
        for line in ("  ".join(can(ability, what) for what, ability in abilities.items()), *obstacles):
            text.append(f"\n  {'':<12} {printable(line)}")
    return text


def can(ability: Ability, what: str) -> str:
    return f"✔ can {what}" if ability.possible else f"✖ can't {what}"
