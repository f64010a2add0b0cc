"""The user's own keys: what is followed, what is told, and that help, footer and palette say what is in force."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.binding import Binding
from textual.dom import DOMNode

from ipl_tui.keymap import LARGEST, Keymap, check_keymap, default_keys, is_key, read_keymap
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.screens.lab_keys import LAB_KEYS
from ipl_tui.settings import keymap_path
from ipl_tui.widgets.key_context import KeyNames
from ipl_tui.widgets.scroller import Scroller
from tests.fake_interface import FakeInterface, FakeNetwork
from tests.screen import until, until_seen
from tests.screens.conftest import Running, running, settled

__all__ = ["running"]  # a fixture

DEFAULTS = {"lab.send": "f5", "lab.save": "f8", "lab.help": "f1,question_mark", "packets.first": "home,g"}


@pytest.fixture
def keymap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    keymap_path().parent.mkdir(parents=True)
    return keymap_path()


@pytest.mark.parametrize(
    ("entries", "keys"),
    [
        ({}, {}),
        ({"lab.send": "ctrl+s"}, {"lab.send": "ctrl+s"}),
        ({"packets.first": "x, ?"}, {"packets.first": "x,question_mark"}),
        ({"lab.send": "f8", "lab.save": "f5"}, {"lab.send": "f8", "lab.save": "f5"}),  # exchanged
        ({"packets.first": "f5"}, {"packets.first": "f5"}),  # another place
        ({"lab.send": "f5"}, {"lab.send": "f5"}),
    ],
)
def test_what_is_followed(entries: dict[str, object], keys: dict[str, str]) -> None:
    assert check_keymap(entries, DEFAULTS) == Keymap(keys)


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({"lab.snd": "x"}, "Keymap, lab.snd: there is no such command; there are lab.help, lab.save, lab.send."),
        ({"no[b]": "x"}, "Keymap, no[b]: there is no such command; there are lab, packets."),
        ({"lab.send": 5}, 'Keymap, lab.send: its keys stand in quotes, such as "f5,ctrl+s".'),
        ({"lab.send": "hyperspace"}, 'Keymap, lab.send: "hyperspace" is no key; keys are such as f5, ctrl+s, x, '
         "question_mark."),
        ({"lab.send": ""}, 'Keymap, lab.send: "" is no key; keys are such as f5, ctrl+s, x, question_mark.'),
        ({"lab.send": "f8"}, "Keymap, lab.send: f8 is already the key of lab.save."),
        ({"lab.send": "?"}, "Keymap, lab.send: question_mark is already the key of lab.help."),
    ],
)  # fmt: skip
def test_what_is_not_is_told(entries: dict[str, object], problem: str) -> None:
    assert check_keymap(entries, DEFAULTS) == Keymap({}, (problem,))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"lab.send = ", "can't be read: Invalid value"),
        (b"\xff", "can't be read: it is not UTF-8."),
        (b"#" * (LARGEST + 1), "can't be read: it has more than 65,536 bytes."),
        (b"a = " + b"[" * 20_000, "can't be read: "),
    ],
)
def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "keymap.toml").write_bytes(content)
    (problem,) = read_keymap(tmp_path / "keymap.toml").problems
    assert told in problem and problem.endswith(".")
    assert read_keymap(tmp_path).problems and not read_keymap(tmp_path / "none").problems


@given(st.dictionaries(st.sampled_from([*DEFAULTS, "x", "lab."]), st.one_of(st.text(), st.integers(), st.none())))
def test_any_entries_do_no_harm(entries: dict[str, object]) -> None:
    found = check_keymap(entries, DEFAULTS)
    assert len(found.keys) + len(found.problems) == len(entries)
    assert all(is_key(key) for keys in found.keys.values() for key in keys.split(","))
    assert all(problem.isprintable() for problem in found.problems)


def test_every_binding_of_ours_has_an_id_and_keys_that_are_ones() -> None:
    known = default_keys()
    assert {"lab.send", "packets.open", "composer.reset", "help.back"} <= known.keys()

    def kinds(kind: type[DOMNode]) -> list[type[DOMNode]]:
        return [each for below in kind.__subclasses__() for each in (below, *kinds(below))]

    for kind in kinds(DOMNode):
        if kind.__module__.startswith("ipl_tui."):
            for binding in Binding.make_bindings(vars(kind).get("BINDINGS", ())):
                assert binding.id in known, f"{kind.__name__}: {binding}"
            assert kind.__module__.startswith("ipl_tui.screens.") or bool(vars(kind).get("BINDINGS")) <= bool(
                vars(kind).get("KEYS_TITLE") or kind is Scroller
            ), f"{kind.__name__} does not say where its keys work"
    assert check_keymap(known, known) == Keymap(known)


async def test_footer_help_and_palette_say_what_is_in_force(running: Running, keymap: Path) -> None:
    keymap.write_text('lab.send = "f12"\n"lab.zoom" = "b,ctrl+n"\npackets.time = "f8"\nlab.nothing = "x"\n')
    with closing(SimulatedNetwork()) as network:
        async with running("simulated:client", networks=[network], size=(200, 60)) as (pilot, lab):
            await settled(pilot, lab)
            await until_seen(pilot, "F3 Filter F12 Send F6 Answer")
            await until_seen(pilot, "Keymap, lab.nothing: there is no such command")
            await pilot.press("f5", "z", "f12")
            await until_seen(pilot, "↩ answers")
            assert lab.snapshot.orders == 1 and not lab.zoomed
            await pilot.press("b")
            await until(pilot, lambda: lab.zoomed)
            await pilot.press("ctrl+n", "f1")
            await until_seen(pilot, "IPL: an Internet Protocol lab")
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is lab)
            titles = {command.title for command in pilot.app.get_system_commands(lab)}
            assert {"Send (F12)", "Zoom (b)"} <= titles


@pytest.mark.parametrize(
    ("keys", "text", "in_force"),
    [
        ({}, "F5 sends the packet in the composer (2)", "F5 sends the packet in the composer (2)"),
        ({"lab.send": "f12,ctrl+s"}, "F5 sends; F55, xF5 and F6 don't", "F12 sends; F55, xF5 and F6 don't"),
        ({"lab.send": "f8", "lab.save": "f5"}, "F5 sends, F8 saves", "F8 sends, F5 saves"),
        ({"lab.compose": "ctrl+n"}, "the composer (2), 2 packets", "the composer (Ctrl+N), 2 packets"),
        ({"lab.unfilter": "question_mark"}, "Ctrl+O captures without it.", "? captures without it."),
        ({"lab.pause": "b", "lab.quit": "f10"}, "a space quits", "a space quits"),
    ],
)  # fmt: skip
def test_sentences_name_the_keys_in_force(keys: dict[str, str], text: str, in_force: str) -> None:
    assert KeyNames(LAB_KEYS, keys).in_force(text) == in_force


async def test_what_the_lab_says_names_the_keys_in_force(running: Running, keymap: Path) -> None:
    keymap.write_text('lab.send = "f12"\nlab.interface = "ctrl+b"\nlab.responder = "u"\nlab.compose = "o"\n')
    with closing(SimulatedNetwork()) as network:
        networks = [FakeNetwork("fake", FakeInterface("f0", "10.0.1.10/24")), network]
        async with running("simulated:client", networks=networks, responder=False, size=(120, 36)) as (pilot, lab):
            await until_seen(pilot, "Choose   Ctrl+B  where to capture")
            await until_seen(pilot, "Send     F12  the packet in the composer (o)")
            await until_seen(pilot, "Send F12")
            await until(pilot, lab.session.settled.is_set)
            await pilot.press("e")
            await until_seen(pilot, "u turns the responder on")
            await pilot.press("f12")
            await until_seen(pilot, "this protocol; u turns the responder on")
            lab.composer.count.value = "1000"
            await pilot.press("f12")
            await until_seen(pilot, "of 1,000; F12 stops")
            await until_seen(pilot, "Stop F12")
            await pilot.press("f1")
            await until_seen(pilot, "Compose a packet (o), send it with F12")


async def test_help_lists_a_users_keys(running: Running, keymap: Path) -> None:
    keymap.write_text('lab.send = "f12"\n')
    with closing(SimulatedNetwork()) as network:
        async with running("simulated:client", networks=[network], size=(120, 120)) as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("f1")
            line = await until_seen(pilot, "Send the packet in the composer, or stop sending")
            assert "F12" in line and "F5" not in line
            await pilot.press(*"j" * 60)
            await until_seen(pilot, 'lab.send = "f5,ctrl+s"')
