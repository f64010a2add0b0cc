"""The app: the lab's screen, its theme, and the command palette made of its bindings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from textual.app import App, SystemCommand
from textual.screen import Screen

from ipl_tui.capture.store import Store
from ipl_tui.networks.interface import Network
from ipl_tui.screens.lab import LabScreen, Options, bindings_of


class PacketLab(App[None]):
    """IPL: an Internet Protocol lab in the terminal."""

    TITLE = "IPL"
    CSS_PATH = "app.tcss"

    def __init__(self, store: Store, networks: Sequence[Network], options: Options) -> None:
        super().__init__()
        self.lab = LabScreen(store, networks, options)

    def get_default_screen(self) -> Screen[None]:
        return self.lab

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        if screen is self.lab:
            seen = set()
            for binding in bindings_of(self.lab):
                if binding.action not in seen and binding.tooltip:
                    seen.add(binding.action)
                    title = f"{binding.description} ({self.get_key_display(binding)})"
                    yield SystemCommand(title, binding.tooltip, partial(self.run_lab_action, binding.action))
        for command in super().get_system_commands(screen):
            if command.title not in ("Quit", "Keys"):
                yield command

    @property
    def dropped(self) -> int:
        """Frames that the kernel dropped before they were captured."""
        return self.lab.dropped

    async def run_lab_action(self, action: str) -> None:
        await self.run_action(action, self.lab)
