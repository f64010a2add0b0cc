"""Setting the links of a network: latency, loss and MTU."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from ipl_tui.networks.interface import LinkError, Network
from ipl_tui.networks.links import set_value
from ipl_tui.networks.topology import Link

COLUMNS = {"latency": "Latency, ms", "loss": "Loss, %", "mtu": "MTU, bytes"}


class LinkScreen(ModalScreen[bool]):
    """A row of inputs for each link. Gives whether they were set."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(False)", "Back", id="links.back")]

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.links: Sequence[Link] = network.links()
        self.inputs = [
            {
                what: Input(text, compact=True, disabled=not text, placeholder="not here" if not text else "")
                for what, text in show_link(link).items()
            }
            for link in self.links
        ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(f"Links of the {self.network.name} network, in both directions", classes="title")
            with Horizontal(classes="row"):
                for text in ("Link", *COLUMNS.values()):
                    yield Label(text, classes="cell")
            for link, inputs in zip(self.links, self.inputs, strict=True):
                with Horizontal(classes="row"):
                    yield Label(" ── ".join(link.ends), classes="cell", markup=False)
                    for each in inputs.values():
                        each.add_class("cell")
                        yield each
            yield Static("What arrives late, or not at all, or in fragments, is seen with F9.", id="advice")
            yield Label("Enter sets them, Tab goes to the next, Esc goes back", classes="hint")

    @on(Input.Submitted)
    @work(exclusive=True)
    async def set_links(self) -> None:
        try:
            for link, inputs in zip(self.links, self.inputs, strict=True):
                for what, each in inputs.items():
                    link = set_value(link, what, each.value.strip()) if not each.disabled else link
                await asyncio.to_thread(self.network.set_link, link)
        except LinkError as error:
            self.query_one("#advice", Static).update(Text(f"✖ {error}"))
        else:
            self.dismiss(True)


def show_link(link: Link) -> dict[str, str]:
    """Texts of a link's inputs; empty where it can't be set."""
    return {
        "latency": "" if link.latency is None else f"{link.latency * 1000:g}",
        "loss": "" if link.loss is None else f"{link.loss * 100:g}",
        "mtu": str(link.mtu),
    }
