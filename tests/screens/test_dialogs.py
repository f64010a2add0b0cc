"""The dialogs: choosing an interface, where to save, and help. They need no network and no permission."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.binding import Binding
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList

from ipl_tui.app import PacketLab
from ipl_tui.capture.store import Store
from ipl_tui.networks.interface import Ability, Interface
from ipl_tui.screens.help import HelpScreen
from ipl_tui.screens.interfaces import InterfaceScreen
from ipl_tui.screens.save import SaveScreen
from ipl_tui.session.options import LabOptions
from ipl_tui.widgets.key_context import KeyContext
from tests.fake_interface import FakeInterface, FakeNetwork
from tests.screen import seen, until, until_seen
from tests.widgets.stage import staged

CABLE = FakeInterface("eth0", "10.0.1.10/24", "192.168.7.1/16")
RADIO = FakeInterface("wlan0", ability=Ability(False, "Capturing on wlan0 needs permission: run with sudo."))
LOOPBACK = FakeInterface("lo", "127.0.0.1/8")
NETWORKS = [FakeNetwork("kernel", CABLE, RADIO), FakeNetwork("simulated", LOOPBACK)]


class SlowInterface(FakeInterface):
    """It takes until `found` is set to know what can be done there."""

    found: threading.Event

    def can_capture(self) -> Ability:
        self.found.wait(10)
        return Ability(False, "There is no sandbox.")


@asynccontextmanager
async def asking(
    screen: ModalScreen[Any], size: tuple[int, int] = (100, 30)
) -> AsyncIterator[tuple[Pilot[None], list[Any]]]:
    """Runs a dialog over an empty screen; the list gets its answer."""
    answers: list[Any] = []
    async with staged(Label("below"), size=size) as (pilot, stage):
        stage.push_screen(screen, answers.append)
        await until(pilot, lambda: stage.screen is screen and screen.focused is not None)
        yield pilot, answers


class TestInterfaces:
    async def test_it_lists_every_network_and_what_each_interface_can_do(self) -> None:
        async with asking(InterfaceScreen(NETWORKS, CABLE)) as (pilot, _):
            await until_seen(pilot, "kernel  what kernel is for")
            await until_seen(pilot, "simulated  what simulated is for")
            await until_seen(pilot, "eth0         up         10.0.1.10/24, 192.168.7.1/16  Ethernet, MTU 1500")
            await until_seen(pilot, "wlan0        up         no IPv4 address")
            await until_seen(pilot, "✖ can't capture  ✖ can't send")
            await until_seen(pilot, "Capturing on wlan0 needs permission: run with sudo.")

    async def test_what_stands_in_the_way_of_a_whole_network_is_said_once(self) -> None:
        forbidden = Ability(False, "The sandbox is forbidden here: run sudo sysctl something.")
        ports = [FakeInterface(name, ability=forbidden) for name in ("c0", "r0")]
        for port in ports:
            port.host = "host"
        async with asking(InterfaceScreen([FakeNetwork("sandbox", *ports)], CABLE)) as (pilot, _):
            await until_seen(pilot, "✖ The sandbox is forbidden here")
            await until_seen(pilot, "host    c0")
            assert sum("forbidden" in line for line in seen(pilot.app)) == 1

    @pytest.mark.parametrize(
        ("current", "keys", "chosen"),
        [
            (CABLE, "enter", CABLE),
            (RADIO, "enter", RADIO),
            (LOOPBACK, "enter", LOOPBACK),
            (CABLE, "j enter", RADIO),
            (CABLE, "down down enter", LOOPBACK),
            (CABLE, "j j enter", LOOPBACK),
            (LOOPBACK, "k enter", RADIO),
            (LOOPBACK, "up up enter", CABLE),
            (CABLE, "escape", None),
            (CABLE, "j f2", None),
        ],
        ids=lambda value: value.name if isinstance(value, Interface) else value,
    )
    async def test_keys_choose_from_the_current_one_on(
        self, current: Interface, keys: str, chosen: Interface | None
    ) -> None:
        async with asking(InterfaceScreen(NETWORKS, current)) as (pilot, answers):
            await pilot.press(*keys.split())
            await until(pilot, lambda: answers == [chosen])

    async def test_a_click_chooses_and_one_on_a_network_does_not(self) -> None:
        async with asking(InterfaceScreen(NETWORKS, CABLE)) as (pilot, answers):
            await until_seen(pilot, "wlan0")
            for text in ("kernel  ", "needs permission"):
                assert not answers
                y, line = next((y, line) for y, line in enumerate(seen(pilot.app)) if text in line)
                await pilot.click(offset=(line.index(text), y))
            await until(pilot, lambda: answers == [RADIO])

    async def test_without_the_current_one_the_first_is_offered(self) -> None:
        async with asking(InterfaceScreen(NETWORKS, FakeInterface("gone0"))) as (pilot, answers):
            await pilot.press("enter")
            await until(pilot, lambda: answers == [CABLE])

    async def test_what_can_be_done_is_found_out_while_one_chooses(self) -> None:
        found, slow = threading.Event(), SlowInterface("c0")
        slow.found = found
        below = FakeInterface("eth1")
        try:
            networks = [FakeNetwork("slow", slow), *NETWORKS, FakeNetwork("last", below)]
            async with asking(InterfaceScreen(networks, CABLE)) as (pilot, answers):
                await until_seen(pilot, "slow  what slow is for  looking…")
                await until_seen(pilot, "✖ can't capture  ✖ can't send")  # RADIO
                assert not any("kernel" in line and "looking" in line for line in seen(pilot.app))
                await pilot.press("j", "j", "j")
                found.set()
                await until_seen(pilot, "There is no sandbox.")
                assert not any("looking" in line for line in seen(pilot.app))
                await pilot.press("enter")
                await until(pilot, lambda: answers == [below])
        finally:
            found.set()

    async def test_keys_that_come_before_the_interfaces_count(self) -> None:
        class SlowNetwork(FakeNetwork):
            def interfaces(self) -> list[Interface]:
                listing.set()
                listed.wait(10)
                return super().interfaces()

        listing, listed = threading.Event(), threading.Event()
        answers: list[Any] = []
        async with staged(Label("below")) as (pilot, stage):
            try:
                stage.push_screen(InterfaceScreen([SlowNetwork("kernel", CABLE, RADIO)], CABLE), answers.append)
                # The pilot would wait until the screen has read them.
                while not listing.is_set():
                    await asyncio.sleep(0)
                for key, character in {"j": "j", "enter": "\r"}.items():
                    stage.post_message(events.Key(key, character))
                await asyncio.sleep(0)
            finally:
                listed.set()
            await until(pilot, lambda: answers == [RADIO])

    async def test_there_may_be_none(self) -> None:
        async with asking(InterfaceScreen([FakeNetwork("kernel")], CABLE)) as (pilot, answers):
            await pilot.press("j", "k", "enter")
            assert pilot.app.screen.query_one(OptionList).highlighted is None and not answers
            await pilot.press("escape")
            await until(pilot, lambda: answers == [None])

    async def test_names_are_text(self) -> None:
        odd = FakeInterface("[b]x[/b]")
        async with asking(InterfaceScreen([FakeNetwork("[i]n[/i]", odd)], odd)) as (pilot, _):
            await until_seen(pilot, "[i]n[/i]  what")
            await until_seen(pilot, "[b]x[/b]")

    async def test_the_lab_then_shows_its_whole_name(self) -> None:
        long = FakeInterface("wlp0s20f3", "192.168.100.200/24")
        with Store() as store:
            lab = PacketLab(store, [FakeNetwork("kernel", LOOPBACK, long)], LabOptions(LOOPBACK))
            async with lab.run_test(size=(120, 36)) as pilot:
                await until_seen(pilot, "lo  127.0.0.1 ▾")
                await until_seen(pilot, "✖ Nothing passes a fake interface.")
                await pilot.press("f2", "j", "enter")
                await until_seen(pilot, "wlp0s20f3  192.168.100.200 ▾")


class TestSaving:
    async def save_as(self, pilot: Pilot[None], text: str) -> None:
        pilot.app.screen.query_one(Input).value = text
        await pilot.press("enter")

    async def test_a_new_name_is_taken(self, tmp_path: Path) -> None:
        async with asking(SaveScreen(1234)) as (pilot, answers):
            await until_seen(pilot, "Save 1,234 packets as")
            await self.save_as(pilot, f"  {tmp_path}/new.pcapng ")
            await until(pilot, lambda: answers == [tmp_path / "new.pcapng"])

    async def test_a_name_is_offered(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        async with asking(SaveScreen(1)) as (pilot, answers):
            await pilot.press("enter")
            await until(pilot, lambda: answers == [Path("capture.pcapng")])

    async def test_a_tilde_is_the_home_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        async with asking(SaveScreen(1)) as (pilot, answers):
            await self.save_as(pilot, "~/new.pcap")
            await until(pilot, lambda: answers == [tmp_path / "new.pcap"])

    async def test_a_file_that_exists_is_asked_about_each_by_each(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("one.pcap", "other.pcap"):
            Path(name).touch()
        async with asking(SaveScreen(1)) as (pilot, answers):
            for name in ("one.pcap", "other.pcap"):
                await self.save_as(pilot, name)
                await until_seen(pilot, f"{name} exists. Enter again replaces it.")
            assert not answers
            await pilot.press("enter")
            await until(pilot, lambda: answers == [Path("other.pcap")])

    @pytest.mark.parametrize("key", ["escape", "f8"])
    async def test_one_can_leave_it(self, key: str) -> None:
        async with asking(SaveScreen(1)) as (pilot, answers):
            await pilot.press(key)
            await until(pilot, lambda: answers == [None])

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("", "A file needs a name."),
            ("   ", "A file needs a name."),
            ("/", "/ is a folder: add a file name."),
        ],
        ids=["empty", "blank", "a folder"],
    )
    async def test_what_is_no_file_name_is_said(self, name: str, sentence: str) -> None:
        async with asking(SaveScreen(1)) as (pilot, answers):
            await self.save_as(pilot, name)
            await until_seen(pilot, sentence)
            assert not answers

    @pytest.mark.parametrize("name", ["/" + "x" * 300, "~nobody-of-that-name/x.pcap", "/no such folder/x.pcap"])
    async def test_what_only_saving_can_tell_is_left_to_it(self, name: str) -> None:
        async with asking(SaveScreen(1)) as (pilot, answers):
            await self.save_as(pilot, name)
            await until(pilot, lambda: answers == [Path(name)])

    async def test_a_name_is_shown_as_text(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("[b]\x1b[31m.pcap").touch()
        async with asking(SaveScreen(1)) as (pilot, _):
            await self.save_as(pilot, "[b]\x1b[31m.pcap")
            await until_seen(pilot, "[b]\\x1b[31m.pcap exists.")


class TestHelp:
    def screen(self) -> HelpScreen:
        keys = [Binding("q,w", "quit", "Quit", tooltip="Leave the lab"), Binding("x", "extra", "Something else")]
        return HelpScreen([KeyContext("Somewhere", Label(), list(Binding.make_bindings(keys)))])

    async def test_keys_of_one_action_stand_together(self) -> None:
        async with asking(self.screen(), size=(100, 80)) as (pilot, _):
            await until_seen(pilot, "IPL: an Internet Protocol lab")
            await until_seen(pilot, "Somewhere")
            assert (await until_seen(pilot, "Leave the lab")).split()[1:3] == ["q,", "w"]
            await until_seen(pilot, "Something else")

    async def test_it_scrolls_where_it_does_not_fit(self) -> None:
        async with asking(self.screen(), size=(80, 16)) as (pilot, _):
            await until_seen(pilot, "IPL: an Internet Protocol lab")
            assert not any("Something else" in line for line in seen(pilot.app))
            for _ in range(100):
                if any("Something else" in line for line in seen(pilot.app)):
                    break
                await pilot.press("j")
            else:
                pytest.fail("it does not scroll so far")
            for _ in range(100):
                if any("IPL: an Internet Protocol lab" in line for line in seen(pilot.app)):
                    break
                await pilot.press("k")
            else:
                pytest.fail("it does not scroll back")

    @pytest.mark.parametrize("key", ["escape", "f1", "question_mark", "q"])
    async def test_many_keys_lead_back(self, key: str) -> None:
        async with asking(self.screen()) as (pilot, _):
            await pilot.press(key)
            await until_seen(pilot, "below")
