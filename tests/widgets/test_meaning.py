"""What is said about a field: as much as there is room for, the most important first."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.explanations.table import EXPLAINED, explain_field
from ipl_tui.widgets.meaning import Meaning
from tests.screen import seen, until_seen

HEADER = craft(Draft(src="10.0.1.10", dst="10.0.2.20", ttl=63)).packet


class Stage(App[None]):
    def compose(self) -> ComposeResult:
        yield Meaning()


@pytest.mark.parametrize(
    ("height", "said", "left_out"),
    [
        (1, ["63: one router has taken 1 from 64."], ["Each router takes 1", "It is judged"]),
        (3, ["63: one router has taken 1 from 64.", "Each router takes 1"], ["It is judged"]),
        (6, ["63: one router has taken 1 from 64.", "Each router takes 1", "It is judged", "RFC 791"], []),
    ],
)
async def test_what_does_not_fit_is_left_out_the_last_part_first(
    height: int, said: list[str], left_out: list[str]
) -> None:
    async with Stage().run_test(size=(70, 24)) as pilot:
        meaning = pilot.app.query_one(Meaning)
        meaning.styles.height = height
        meaning.explain(EXPLAINED["ttl"], header=HEADER)
        await until_seen(pilot, "Time to Live · ttl")
        await pilot.pause()
        text = " ".join(line.strip() for line in seen(pilot.app))
        assert [part for part in said if part not in text] == []
        assert [part for part in left_out if part in text] == []


async def test_several_fields_under_one_name_of_scapys() -> None:
    async with Stage().run_test(size=(70, 24)) as pilot:
        meaning = pilot.app.query_one(Meaning)
        meaning.styles.height = 6
        meaning.explain(*explain_field("IP", "flags"), header=HEADER)
        await until_seen(pilot, "flags:")
        await until_seen(pilot, "Don't Fragment 0: a router may")
