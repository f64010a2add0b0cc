"""An area that scrolls."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll


class Scroller(VerticalScroll):
    """Scrolls what is too long for the screen, by `j` and `k` as well as by arrows and wheel."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False, id="scroller.down"),
        Binding("k", "scroll_up", "Up", show=False, id="scroller.up"),
    ]
