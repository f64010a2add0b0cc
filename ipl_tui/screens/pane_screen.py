"""How panes share the screen: side by side below the list, or one at a time, and how many rows each has."""

from __future__ import annotations

from typing import ClassVar

from textual.reactive import var
from textual.screen import Screen
from textual.widget import Widget

from ipl_tui.widgets.capture_bar import NORMAL, WIDE

LEAST_ROWS = 5
"""Rows of the lowest pane: its title, and some of what is in it."""


class PaneScreen(Screen[None]):
    """Shows the pane the user is in, at least. What is in the panes, its subclass knows; where they stand, app.tcss."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (NORMAL, "-normal"), (WIDE, "-wide")]  # noqa: RUF012 - Textual's own type
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-high"), (50, "-tall")]  # noqa: RUF012

    PANES: ClassVar[tuple[str, ...]] = ()
    """Ids of the panes."""

    body: Widget
    """What holds them all."""
    upper: Widget
    """What is above the others, and moves the border to them."""

    pane: var[str] = var("packets", init=False)
    """The pane the user is in; where they do not all fit, the one that is shown."""

    zoomed: var[bool] = var(False, toggle_class="-zoomed")
    """True while the pane the user is in is the whole screen."""

    lower_rows: var[int] = var(0)
    """Rows of the panes below the list, as the user wants them; 0 leaves them as they are laid out."""

    def take_size(self) -> None:
        """Be of the app's size from the first frame on. Textual does this once that is drawn, and lays out and draws
        another: a tenth of the start."""
        for breakpoints, size in zip(
            (self.HORIZONTAL_BREAKPOINTS, self.VERTICAL_BREAKPOINTS), self.app.size, strict=True
        ):
            self.set_class(True, max(each for each in breakpoints if each[0] <= size)[1], update=False)

    def watch_pane(self, pane: str) -> None:
        self.set_class(False, *(f"-{name}" for name in self.PANES), update=False)
        self.add_class(f"-{pane}")

    @property
    def has_room(self) -> bool:
        """True where the list and the panes below it can share the screen."""
        return not (self.has_class("-narrow") or self.has_class("-low"))

    def action_zoom(self) -> None:
        if self.has_room or self.zoomed:
            self.zoomed = not self.zoomed
        else:
            self.say_one_pane()

    def action_resize(self, step: int) -> None:
        """Make the pane the user is in higher, or lower, by two rows for each step."""
        if self.zoomed or not self.has_room:
            self.say_one_pane()
            return
        rows = self.body.size.height - self.upper.outer_size.height
        rows += 2 * (-step if self.pane == self.PANES[0] else step)
        self.lower_rows = max(LEAST_ROWS, min(rows, self.most_rows))

    def say_one_pane(self) -> None:
        self.notify("The pane is the whole screen: 1 to 4 go to another.", title="Panes")

    @property
    def most_rows(self) -> int:
        """Rows that the panes below the list can have."""
        return self.body.size.height - LEAST_ROWS

    def fit_panes(self) -> None:
        """Give the panes below the list the rows that the user wants, where they share the screen with it."""
        if self.lower_rows and self.has_room and not self.zoomed:
            self.body.styles.grid_rows = f"1fr {min(self.lower_rows, self.most_rows)}"
        else:
            self.body.styles.clear_rule("grid_rows")
            self.body.refresh(layout=True)

    watch_zoomed = watch_lower_rows = fit_panes

    def on_resize(self) -> None:
        self.call_after_refresh(self.fit_panes)  # once it is known whether they still share it
