"""Every text can be read in every theme, whatever is on the screen; and the theme is remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from rich.color import Color
from textual.pilot import Pilot
from textual.widgets import Input

from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.screens.lab import LabScreen
from ipl_tui.settings import remember, remembered
from ipl_tui.themes import CONTRAST, THEMES
from ipl_tui.widgets.header_grid import HeaderForm
from tests.contrast import contrasts
from tests.screen import seen, until, until_seen
from tests.screens.conftest import Running, running, settled

__all__ = ["running"]  # a fixture


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


async def scenes(pilot: Pilot[None], lab: LabScreen) -> AsyncIterator[str]:
    """What a person comes by, one after the other."""
    await settled(pilot, lab)
    yield "an empty list"
    await pilot.press("f5")
    await until(pilot, lambda: lab.packets.selected == 3)
    await until_seen(pilot, "↩")
    yield "the selected row, with the focus"
    await pilot.press("2")
    yield "the selected row, without the focus, and the composer"
    lab.query_one(HeaderForm).fill({"ttl": "300", "len": "99"})
    await until(pilot, lambda: lab.composer.crafted is None)
    yield "a wrong field"
    lab.query_one(HeaderForm).fill({"ttl": "64"})
    await pilot.press("escape", "3")
    yield "the header"
    await pilot.press("4", "down", "down", "down")
    yield "a field in the tree"
    await pilot.press("tab")
    yield "the bytes"
    lab.query_one("#filter", Input).value = "no filter at all"
    await pilot.press("f3")
    await pilot.press("enter")
    yield "a filter that does not compile"
    await pilot.press("escape", "space")
    yield "the list held still"
    await pilot.press("f9")
    await until(pilot, lambda: lab.path_line.is_attached)
    yield "the path"
    for key, name in (("f1", "help"), ("f2", "the interfaces"), ("f8", "saving"), ("L", "links"), ("d", "the doctor"),
                      ("v", "the comparison")):  # fmt: skip
        await pilot.press(key)
        await until(pilot, lambda: pilot.app.screen is not lab)
        yield name
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is lab)


def least(theme: str) -> float:
    """The contrast that a theme must have."""
    if theme == CONTRAST.name:
        return 7
    return 4.5 if theme in [each.name for each in THEMES] else 3


TELLING = ("the selected row, with the focus", "a wrong field", "a field in the tree")
"""Scenes that themes of Textual's are looked at in: each takes a third of a second."""


async def faint(
    pilot: Pilot[None], lab: LabScreen, themes: list[str], wanted: tuple[str, ...] = ()
) -> dict[str, float]:
    """Texts of too little contrast, in all scenes or in those that are wanted."""
    found: dict[str, float] = {}
    left = set(wanted)
    async for scene in scenes(pilot, lab):
        for theme in themes if scene in wanted or not wanted else []:
            pilot.app.theme = theme
            await pilot.pause()
            shown = list(contrasts(pilot.app))
            assert len(shown) > 2
            for text, contrast, row in shown:
                if contrast < least(theme):
                    found[f"{theme}, {scene}, row {row}: {text}"] = round(contrast, 2)
        pilot.app.theme = THEMES[0].name
        left.discard(scene)
        if wanted and not left:
            return found
    assert not left
    return found


@pytest.mark.parametrize(
    ("size", "themes"), [((120, 36), [each.name for each in THEMES]), ((80, 24), [THEMES[0].name])], ids=["120", "80"]
)
async def test_every_text_can_be_read_in_our_themes(size: tuple[int, int], themes: list[str], running: Running) -> None:
    with closing(SimulatedNetwork()) as network:
        async with running("simulated:client", networks=[network], size=size) as (pilot, lab):
            assert await faint(pilot, lab, themes) == {}


async def test_and_in_those_of_textual(running: Running) -> None:
    with closing(SimulatedNetwork()) as network:
        async with running("simulated:client", networks=[network]) as (pilot, lab):
            own = [each.name for each in THEMES]
            others = [name for name in pilot.app.available_themes if name not in own and "ansi" not in name]
            assert len(others) > 10
            assert await faint(pilot, lab, others, TELLING) == {}


async def test_colours_follow_a_changed_theme_at_once(running: Running) -> None:
    with closing(SimulatedNetwork()) as network:
        async with running("simulated:client", networks=[network]) as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("f5")
            await until_seen(pilot, "answers 3")
            dark, text = backgrounds(pilot), at_rest(pilot)
            pilot.app.theme = "ipl-light"
            await until(pilot, lambda: not dark & backgrounds(pilot))
            assert at_rest(pilot) == text


def at_rest(pilot: Pilot[None]) -> list[str]:
    """What is on the screen, without the packets of each second, which move on by themselves."""
    return [line.rstrip(" ▁▂▃▄▅▆▇█") for line in seen(pilot.app)]


def backgrounds(pilot: Pilot[None]) -> set[Color | None]:
    """Every colour that is drawn behind something."""
    strips = pilot.app.screen._compositor.render_strips()  # private, as in tests/screen.py
    return {segment.style.bgcolor for strip in strips for segment in strip if segment.style is not None}


@pytest.mark.parametrize(("kept", "begun"), [("ipl-contrast", "ipl-contrast"), ("nord", "nord"), ("gone", "ipl-dark")])
async def test_the_theme_chosen_last_is_begun_with(kept: str, begun: str, running: Running) -> None:
    remember("theme", kept)
    with closing(SimulatedNetwork()) as network:
        async with running("simulated:client", networks=[network]) as (pilot, _):
            assert pilot.app.theme == begun
            pilot.app.theme = "ipl-light"
            await pilot.pause()
    assert remembered("theme") == "ipl-light"
