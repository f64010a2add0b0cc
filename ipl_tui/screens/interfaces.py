"""Choosing an interface: the networks, what each is for, and what their interfaces can and can't do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from ipl_tui.networks.interface import Ability, Interface, Network
from ipl_tui.packets.text import printable

LOOKING = "  looking…"
"""Behind a network's name until it is known what can be done there."""

NOTHING: Mapping[str, Ability] = MappingProxyType({})
"""Knowledge about an interface at first: none."""


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

    async def on_mount(self) -> None:
        """List them, and then find out what can be done there: that may take seconds.

        What is typed before they are listed waits in the queue of this screen, which waits here, and nobody else.
        """
        listed = await asyncio.to_thread(list_all, self.networks)
        options = self.query_one(OptionList)
        for network, interfaces in zip(self.networks, listed, strict=True):
            options.add_option(Option(title(network, LOOKING), disabled=True))
            for interface in interfaces:
                self.choices.append(interface)
                options.add_option(Option(describe(interface), id=str(len(self.choices) - 1)))
                is_current = interface.full_name == self.current.full_name
                if is_current or options.highlighted is None:
                    options.highlighted = options.option_count - 1
        place = 0
        for network, interfaces in zip(self.networks, listed, strict=True):
            self.look(place, network, interfaces)
            place += 1 + len(interfaces)

    @work
    async def look(self, place: int, network: Network, interfaces: Sequence[Interface]) -> None:
        """Say what can't be done in a network, whose options begin at a place; the cursor stays where it is."""
        options = self.query_one(OptionList)
        looks = await asyncio.to_thread(look_at, interfaces)
        obstacles = [obstacles for _, obstacles in looks]
        # What stands in the way of a whole network is said once, below its name.
        common = obstacles[0] if len(obstacles) > 1 and all(each == obstacles[0] for each in obstacles) else []
        options.replace_option_prompt_at_index(place, title(network, obstacles=common))
        for at, (interface, (abilities, obstacle)) in enumerate(zip(interfaces, looks, strict=True), place + 1):
            own = [line for line in obstacle if line not in common]
            options.replace_option_prompt_at_index(at, describe(interface, abilities, own))
        options.scroll_to_highlight()

    def action_down(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        self.query_one(OptionList).action_cursor_up()

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        assert event.option_id is not None, "the titles of networks cannot be selected"
        self.dismiss(self.choices[int(event.option_id)])


def list_all(networks: Sequence[Network]) -> list[list[Interface]]:
    """The interfaces of each network. Blocks, for tenths of a second where there are thousands."""
    return [network.interfaces() for network in networks]


def look_at(interfaces: Sequence[Interface]) -> list[tuple[dict[str, Ability], list[str]]]:
    """Abilities and obstacles of each interface. Blocks, for seconds where a sandbox is made to find out."""
    return [(interface.abilities(), interface.obstacles()) for interface in interfaces]


def title(network: Network, remark: str = "", obstacles: Sequence[str] = ()) -> Text:
    """A network's name, what it is for, and what keeps all its interfaces from being used."""
    text = Text.assemble((network.name, "bold"), f"  {network.purpose}", (remark, "italic"))
    for line in obstacles:
        text.append(f"\n✖ {printable(line)}")
    return text


def describe(interface: Interface, abilities: Mapping[str, Ability] = NOTHING, obstacles: Sequence[str] = ()) -> Text:
    """An interface in a line: where and what it is; more where something can't be done there, and why."""
    where = f"{interface.host:<7} {interface.name}" if interface.host else printable(interface.name)
    text = Text(f"  {where:<12} {interface.state:<10} {interface.properties}")
    if not all(ability.possible for ability in abilities.values()):
        for line in ("  ".join(can(ability, what) for what, ability in abilities.items()), *obstacles):
            text.append(f"\n  {'':<12} {printable(line)}")
    return text


def can(ability: Ability, what: str) -> str:
    return f"✔ can {what}" if ability.possible else f"✖ can't {what}"
