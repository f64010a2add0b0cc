"""The links of the simulated network as the frames on them meet them: each direction by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from ipl_tui.networks.topology import PATH, Link, Port


@dataclass(frozen=True)
class LinkDirection:
    """One direction of a link."""

    link: Link
    far: Port
    """Port at its other end."""
    luck: Random
    """Decides which frames are lost, while the link loses some: one number is drawn for each."""


class LinkDirections:
    """Both directions of all links, as they are at any moment."""

    def __init__(self, links: Iterable[Link], seed: int) -> None:
        """With the same seed a link loses the same frames, counted in each direction from when it was last set."""
        self._seed = seed
        self._ports = {port.name: port for port in PATH}
        self._lines: dict[str, LinkDirection] = {}
        for link in links:
            self.set(link)

    def __getitem__(self, port: str) -> LinkDirection:
        """The line that begins at the port of that name."""
        return self._lines[port]

    def set(self, link: Link) -> None:
        """Connect a link's ends, anew if they were; its losses begin anew."""
        for near, far in (link.ends, link.ends[::-1]):
            self._lines[near] = LinkDirection(link, self._ports[far], Random(f"{self._seed} {link.name} {near}"))

    def links(self) -> tuple[Link, ...]:
        """Each once, in the order in which they were first set."""
        return tuple({line.link.name: line.link for line in self._lines.values()}.values())
