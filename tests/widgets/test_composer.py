"""The composer: what is typed becomes a draft, checked at once, and an order to send it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.pilot import Pilot
from textual.widgets import Button, Input, Select

from ipl_tui.networks.sending import Order
from ipl_tui.packets.craft import PRESETS, Draft, craft, write_entries
from ipl_tui.packets.fields import FIELD, read_header
from ipl_tui.packets.picture import columns_of
from ipl_tui.widgets.composer import Composer
from ipl_tui.widgets.header_grid import HeaderForm, value_line
from tests.fake_interface import FakeInterface
from tests.screen import seen, until, until_seen
from tests.widgets.stage import Stage, staged

SIZE = (72, 24)
LOOPBACK = FakeInterface("lo", "127.0.0.1/8")
CABLE = FakeInterface("eth0", "10.0.1.10/24", "192.168.7.1/16")


@asynccontextmanager
async def composing(interface: FakeInterface = LOOPBACK) -> AsyncIterator[tuple[Pilot[None], Stage, Composer]]:
    """Runs a composer for an interface, with the first preset in it."""
    composer = Composer(id="compose")
    async with staged(composer, size=SIZE) as (pilot, stage):
        composer.interface = interface
        await pilot.pause()
        yield pilot, stage, composer


async def enter(pilot: Pilot[None], composer: Composer, field: str, text: str) -> None:
    """Go to a cell or the payload, and replace what stands there."""
    line = composer.query_one("#payload" if field == "payload" else f"#cell-{field}")
    line.focus()
    if isinstance(line, Input):
        line.value = text
    else:
        await pilot.press(*text)
    await pilot.pause()


def verdict(composer: Composer) -> str:
    return str(composer.query_one("#verdict").render())


def packet_of(composer: Composer) -> bytes:
    """The packet as it would be sent; nothing while it cannot be."""
    return composer.crafted.packet if composer.crafted is not None else b""


def label_of(stage: Stage, composer: Composer, field: str) -> str:
    """The label above a cell, with what stands beside it."""
    form = composer.query_one(HeaderForm).content_region
    left, right = columns_of(FIELD[field])
    return seen(stage)[form.y + value_line(FIELD[field]) - 1][form.x + left + 1 : form.x + right]


class TestSaying:
    async def test_what_is_said_once_another_interface_is_there_stays(self) -> None:
        async with composing() as (pilot, _, composer):
            composer.interface = FakeInterface("lo2", "127.0.0.2/8")
            composer.say("Stopped: another interface was chosen")
            await pilot.pause()
            assert composer.form.inputs["dst"].value == "127.0.0.2"
            assert verdict(composer) == "Stopped: another interface was chosen"


class TestChecking:
    async def test_it_begins_with_a_client_message_to_this_machine(self) -> None:
        async with composing() as (pilot, _, composer):
            assert verdict(composer) == "33 bytes, no problems"
            for text in (
                "auto 4",
                "auto 5",
                "auto 33",
                "auto 127.0.0.1",
                "127.0.0.1",
                "Payload as   text   ClientMessage",
            ):
                await until_seen(pilot, text)
            assert packet_of(composer) == craft(Draft(payload=b"ClientMessage"), "127.0.0.1").packet

    @pytest.mark.parametrize(
        ("field", "text", "sentence"),
        [
            ("version", "16", "Version is 4 bits: 0 to 15."),
            ("ihl", "16", "IHL is 4 bits: 0 to 15, in words of 4 bytes."),
            ("dscp", "64", "DSCP is 6 bits: 0 to 63."),
            ("ecn", "4", "ECN is 2 bits: 0 to 3."),
            ("len", "65536", "Total Length is 16 bits: 0 to 65,535."),
            ("id", "-1", "Identification is 16 bits: 0 to 65,535."),
            ("frag", "8192", "Fragment Offset is 13 bits: 0 to 8,191, in units of 8 bytes."),
            ("ttl", "300", "Time to Live is 8 bits: 0 to 255."),
            ("ttl", "", "Time to Live needs a number, 0 to 255."),
            ("ttl", "ten", "Time to Live needs a number, 0 to 255."),
            ("proto", "carrier pigeon", "Protocol needs a number, 0 to 255, or a keyword such as ICMP."),
            ("chksum", "0x10000", "Header Checksum is 16 bits: 0 to 65,535."),
            ("src", "10.0.1", 'Source needs an address such as 10.0.1.10; "10.0.1" is not one.'),
            ("dst", "example.org", 'Destination needs an address such as 10.0.1.10; "example.org" is a name.'),
            ("dst", "", "Destination needs an address such as 10.0.1.10."),
            ("options", "94 0", "Options has 3 hex digits; a byte is two."),
            ("options", "xy", 'Options is hex: "x" is no hex digit.'),
        ],
    )
    async def test_what_has_no_bits_is_an_error_at_its_cell_and_blocks(
        self, field: str, text: str, sentence: str
    ) -> None:
        async with composing() as (pilot, stage, composer):
            await enter(pilot, composer, field, text)
            await until(pilot, lambda: verdict(composer) == f"✖ {sentence}")
            assert "✖" in label_of(stage, composer, field)
            assert composer.crafted is None and composer.query_one("#send", Button).disabled
            composer.ask()
            await pilot.pause()
            assert not stage.said(Composer.SendAsked)

    @pytest.mark.parametrize(
        ("field", "text", "sentence"),
        [
            ("version", "6", "Version says 6; IPv4 is 4."),
            ("ihl", "4", "IHL says 16 bytes; a header has at least 20."),
            ("ihl", "6", "IHL says 24 bytes, the header has 20."),
            ("len", "38", "Total Length says 38, the packet has 33 bytes."),
            ("reserved", "1", "Reserved Flag is 1; RFC 791 says that it must be 0."),
            ("mf", "1", "More Fragments is 1, and the payload has 13 bytes"),
            ("ttl", "0", "Time to Live is 0: no router forwards it."),
            ("chksum", "1", "Header Checksum is 0x0001, 0x7bdd would be right."),
            ("src", "224.0.0.1", "Source 224.0.0.1 is a multicast address"),
            ("src", "255.255.255.255", "Source 255.255.255.255 is the broadcast address"),
            ("dst", "0.0.0.0", "Destination 0.0.0.0 is nobody's address."),
            ("options", "8327", "Loose Source Route says 39 bytes, only 4 are left in the header."),
        ],
    )
    async def test_what_contradicts_itself_is_a_named_warning_and_may_be_sent(
        self, field: str, text: str, sentence: str
    ) -> None:
        async with composing() as (pilot, stage, composer):
            await enter(pilot, composer, field, text)
            await until(pilot, lambda: verdict(composer).startswith(f"▲ {sentence}"))
            assert "▲" in label_of(stage, composer, field)
            await pilot.press("enter") if FIELD[field].bits != 1 else composer.ask()
            await until(pilot, lambda: stage.said(Composer.SendAsked))
            sent = read_header(stage.said(Composer.SendAsked)[0].order.packet)[field]
            expected = {"src": text, "dst": text, "options": b"\x83\x27\0\0"}
            assert sent == (expected[field] if field in expected else int(text))

    async def test_a_fragment_that_must_not_be_one_and_one_that_ends_beyond_the_longest(self) -> None:
        async with composing() as (pilot, stage, composer):
            await enter(pilot, composer, "frag", "8191")
            await until(pilot, lambda: "at byte 65,528" in verdict(composer))
            await enter(pilot, composer, "df", "1")
            await until(pilot, lambda: verdict(composer).startswith("▲ Don't Fragment is 1, and yet"))
            assert verdict(composer).endswith("(and 1 more)")
            assert "▲" in label_of(stage, composer, "df") and "▲" in label_of(stage, composer, "frag")

    async def test_the_verdict_is_about_the_cell_one_is_in(self) -> None:
        async with composing() as (pilot, _, composer):
            await enter(pilot, composer, "ttl", "300")
            await enter(pilot, composer, "proto", "999")
            await until(pilot, lambda: verdict(composer).startswith("✖ Protocol is 8 bits"))
            composer.query_one("#cell-ttl").focus()
            await until(pilot, lambda: verdict(composer).startswith("✖ Time to Live is 8 bits"))
            composer.query_one("#cell-src").focus()
            await until(pilot, lambda: verdict(composer) == "✖ Time to Live is 8 bits: 0 to 255. (and 1 more)")

    async def test_a_problem_that_is_mended_is_gone(self) -> None:
        async with composing() as (pilot, stage, composer):
            await enter(pilot, composer, "ttl", "300")
            await until(pilot, lambda: "✖" in label_of(stage, composer, "ttl"))
            await pilot.press("end", "backspace")
            await until(pilot, lambda: verdict(composer) == "33 bytes, no problems")
            assert "✖" not in label_of(stage, composer, "ttl")
            assert not composer.query_one("#send", Button).disabled

    async def test_automatic_values_follow_what_is_typed(self) -> None:
        async with composing() as (pilot, _, composer):
            await enter(pilot, composer, "payload", "four")
            await until_seen(pilot, "auto 24")
            await enter(pilot, composer, "options", "9404")
            await until_seen(pilot, "auto 28")
            await until_seen(pilot, "auto 6")

    async def test_while_a_field_cannot_be_read_nothing_false_is_said_of_the_others(self) -> None:
        async with composing() as (pilot, _, composer):
            await enter(pilot, composer, "ttl", "")
            await until_seen(pilot, "✖")
            await until_seen(pilot, "auto 127.0.0.1")
            assert not any("auto 0x" in line or "auto 33" in line for line in seen(pilot.app))

    async def test_the_field_one_is_in_is_explained(self) -> None:
        async with composing() as (pilot, _, composer):
            composer.query_one("#cell-ttl").focus()
            await until_seen(pilot, "Time to Live · ttl: 64: as Linux")
            await until_seen(pilot, "RFC 791\N{NO-BREAK SPACE}§3.1")
            composer.query_one("#cell-ecn").focus()
            await until_seen(pilot, "RFC 3168\N{NO-BREAK SPACE}§5")

    async def test_whatever_is_typed_is_read_or_refused_with_a_sentence(self) -> None:
        async with composing() as (_, _, composer):
            typed = st.one_of(st.text(max_size=12), st.integers(-5, 70_000).map(str), st.just("10.0.1.20"), st.just(""))
            form, payload = composer.query_one(HeaderForm), composer.query_one("#payload", Input)

            @given(
                st.dictionaries(st.sampled_from([f for f in FIELD if FIELD[f].bits != 1]), typed), st.text(max_size=20)
            )
            @settings(max_examples=150, deadline=None)
            def check(entries: dict[str, str], text: str) -> None:
                harmless, _ = write_entries(Draft())
                with composer.prevent(Input.Changed, HeaderForm.Edited):
                    form.fill({**harmless, **entries})
                    payload.value = text
                composer.check_draft()
                assert (composer.crafted is None) == any(problem.blocks for problem in composer.problems)
                assert {*form.marks} == {problem.field for problem in composer.problems if problem.field != "payload"}
                assert verdict(composer)[0] in "✖▲" if composer.problems else "no problems" in verdict(composer)
                assert verdict(composer).isprintable()

            check()


class TestInterface:
    async def test_the_automatic_source_and_the_untouched_destination_follow_it(self) -> None:
        async with composing() as (pilot, _, composer):
            composer.interface = CABLE
            await until_seen(pilot, "auto 10.0.1.10")
            await until_seen(pilot, "in 10.0.1.0/24")  # what is missing, and what would do
            assert verdict(composer) == "✖ Destination needs an address such as 10.0.1.10."
            await enter(pilot, composer, "dst", "192.168.9.9")
            await until_seen(pilot, "auto 192.168.7.1")

    async def test_a_destination_that_was_typed_stays(self) -> None:
        async with composing(CABLE) as (pilot, _, composer):
            await enter(pilot, composer, "dst", "10.0.1.20")
            composer.interface = LOOPBACK
            await until_seen(pilot, "auto 127.0.0.1")
            assert composer.query_one("#cell-dst", Input).value == "10.0.1.20"

    async def test_without_an_address_the_source_is_unspecified(self) -> None:
        async with composing(FakeInterface("tap0")) as (pilot, _, composer):
            await enter(pilot, composer, "dst", "10.0.1.20")
            await until_seen(pilot, "auto 0.0.0.0")

    async def test_its_addresses_are_offered_while_one_types(self) -> None:
        async with composing(CABLE) as (pilot, _, composer):
            await enter(pilot, composer, "src", "192")
            await until_seen(pilot, "192.168.7.1")
            await pilot.press("right")
            await until(pilot, lambda: composer.query_one("#cell-src", Input).value == "192.168.7.1")


class TestPresets:
    async def choose(self, pilot: Pilot[None], composer: Composer, index: int) -> None:
        composer.query_one("#preset", Select).focus()
        await pilot.press("enter", "home", *["down"] * index, "enter")
        await until_seen(pilot, f" {PRESETS[index].name} ")

    def holds(self, composer: Composer, packet: bytes) -> bool:
        return packet_of(composer) == packet

    @pytest.mark.parametrize("index", range(1, len(PRESETS)), ids=[preset.name for preset in PRESETS[1:]])
    async def test_a_preset_fills_everything_in_but_the_destination(self, index: int) -> None:
        async with composing(CABLE) as (pilot, _, composer):
            await enter(pilot, composer, "dst", "10.0.1.99")
            await enter(pilot, composer, "ttl", "7")
            for choice in (index, 0):
                await self.choose(pilot, composer, choice)
                expected = craft(replace(PRESETS[choice].draft, dst="10.0.1.99"), "10.0.1.10").packet
                await until(pilot, partial(self.holds, composer, expected))
                assert verdict(composer) == f"{len(expected)} bytes, no problems"

    async def test_ctrl_r_starts_all_of_it_again_from_the_preset(self) -> None:
        async with composing(CABLE) as (pilot, _, composer):
            await self.choose(pilot, composer, 1)
            before, payload = composer.form.entries, composer.payload.value
            await enter(pilot, composer, "dst", "10.0.1.99")
            await enter(pilot, composer, "chksum", "0xbad")
            await pilot.press("ctrl+t", "ctrl+l")
            await enter(pilot, composer, "payload", "00")
            composer.count.value, composer.interval.value = "7", "0.2"
            await until(pilot, lambda: packet_of(composer)[20:] == b"\0")
            await pilot.press("ctrl+r")
            await until(pilot, lambda: composer.form.entries == before)
            assert composer.payload.value == payload
            assert (composer.count.value, composer.interval.value, composer.method) == ("1", "1.0", "auto")
            assert not composer.hexadecimal
            await until_seen(pilot, "Payload as   text")


class TestRows:
    async def test_down_goes_on_below_the_options_and_up_comes_back(self) -> None:
        async with composing(CABLE) as (pilot, _, composer):
            composer.form.inputs["dst"].focus()
            rows = [composer.form.inputs["options"], composer.payload, composer.presets]
            for row in [*rows, rows[-1]]:
                await pilot.press("down")
                await until(pilot, lambda row=row: row.has_focus)  # type: ignore[misc]
            for row in rows[-2::-1]:
                await pilot.press("up")
                await until(pilot, lambda row=row: row.has_focus)  # type: ignore[misc]
            assert composer.presets.value == PRESETS[0] and not composer.presets.expanded

    async def test_up_from_beside_one_goes_to_the_row_above_too(self) -> None:
        async with composing(CABLE) as (pilot, _, composer):
            composer.interval.focus()
            await pilot.press("up")
            await until(pilot, lambda: composer.payload.has_focus)


class TestPayload:
    async def test_text_with_escapes(self) -> None:
        async with composing() as (pilot, _, composer):
            await enter(pilot, composer, "payload", r"a\x00\n\\b")
            await until(pilot, lambda: packet_of(composer)[20:] == b"a\x00\n\\b")

    @pytest.mark.parametrize("button", [False, True])
    async def test_it_turns_to_hex_and_back(self, button: bool) -> None:
        async with composing() as (pilot, _, composer):
            pressed = composer.query_one("#payload-form")

            async def turn() -> None:
                if button:
                    pressed.focus()
                    # Textual's buttons take no second press while they show the first.
                    await until(pilot, lambda: pressed.has_focus and not pressed.has_class("-active"))
                await pilot.press("enter" if button else "ctrl+t")

            line = composer.query_one("#payload", Input)
            await enter(pilot, composer, "payload", r"Hi\x00")
            await turn()
            await until_seen(pilot, "Payload as   hex")
            assert line.value == "48 69 00"
            await enter(pilot, composer, "payload", "0x48:69,6A 0a")
            await until(pilot, lambda: packet_of(composer)[20:] == b"Hij\n")
            await turn()
            await until_seen(pilot, "Payload as   text")
            assert line.value == r"Hij\n"

    @pytest.mark.parametrize(
        ("hexadecimal", "text", "sentence"),
        [
            (False, r"\q", r'Payload: "\q" is no escape'),
            (False, "\\", r'Payload: "\" is no escape'),
            (True, "abc", "Payload has 3 hex digits; a byte is two."),
            (True, "zz", 'Payload is hex: "z" is no hex digit.'),
        ],
    )
    async def test_what_cannot_be_read_is_said_and_not_turned(
        self, hexadecimal: bool, text: str, sentence: str
    ) -> None:
        async with composing() as (pilot, _, composer):
            if hexadecimal:
                await pilot.click("#payload-form")
            composer.query_one("#payload", Input).value = text
            await until_seen(pilot, f"✖ {sentence}")
            await pilot.click("#payload-form")
            await pilot.pause()
            assert composer.hexadecimal == hexadecimal
            assert composer.query_one("#payload", Input).value == text
            assert composer.query_one("#payload").has_class("-wrong")

    async def test_a_payload_beyond_the_longest_packet_blocks(self) -> None:
        async with composing() as (pilot, _, composer):
            composer.query_one("#payload", Input).value = "x" * 65_516
            await until_seen(pilot, "✖ The packet has 65,536 bytes; Total Length can count 65,535.")
            composer.query_one("#payload", Input).value = "x" * 65_515
            await until_seen(pilot, "65535 bytes, no problems")

    async def test_a_preset_comes_in_the_form_that_is_chosen(self) -> None:
        async with composing() as (pilot, _, composer):
            await pilot.press("ctrl+t")
            composer.query_one("#preset", Select).value = PRESETS[1]
            await until_seen(pilot, "53 65 72 76 65 72 52 65 73 70 6f 6e 73 65")


class TestAsking:
    @pytest.mark.parametrize("way", ["enter", "click", "ask"])
    async def test_the_orders_bytes_are_the_drafts(self, way: str) -> None:
        draft = Draft(
            dscp=46, ecn=1, len=38, id=4660, df=1, ttl=9, proto=17, chksum=1, options=b"\x94\x04", payload=b"\x00hi"
        )
        async with composing() as (pilot, stage, composer):
            entries, payload = write_entries(draft)
            composer.query_one("#payload", Input).value = payload
            composer.query_one(HeaderForm).fill(entries)
            expected = craft(draft, "127.0.0.1")
            await until(pilot, lambda: packet_of(composer) == expected.packet)
            composer.query_one("#cell-ttl").focus()
            if way == "click":
                await pilot.click("#send")
            elif way == "enter":
                await pilot.press("enter")
            else:
                composer.ask()
            await until(pilot, lambda: stage.said(Composer.SendAsked))
            assert [message.order for message in stage.said(Composer.SendAsked)] == [
                Order(expected.packet, "kernel", 1, 1.0)
            ]

    async def test_any_draft_is_ordered_as_it_was_typed(self) -> None:
        async with composing() as (_, _, composer):
            form, payload = composer.query_one(HeaderForm), composer.query_one("#payload", Input)
            numbers = {
                name: st.integers(0, (1 << field.bits) - 1) for name, field in FIELD.items() if 0 < field.bits < 32
            }
            automatic = {
                name: st.one_of(st.none(), numbers[name]) if FIELD[name].automatic else numbers[name]
                for name in numbers
            }
            drafts = st.builds(Draft, **automatic, options=st.binary(max_size=40), payload=st.binary(max_size=60))

            @given(drafts)
            @settings(max_examples=150, deadline=None)
            def check(draft: Draft) -> None:
                entries, text = write_entries(draft)
                with composer.prevent(Input.Changed, HeaderForm.Edited):
                    form.fill(entries)
                    payload.value = text
                composer.check_draft()
                assert packet_of(composer) == craft(draft, "127.0.0.1").packet

            check()

    @pytest.mark.parametrize(
        ("destination", "turns", "label", "method"),
        [
            ("10.0.1.20", 0, "auto: exact", "exact"),
            ("10.0.1.10", 0, "auto: kernel", "kernel"),
            ("10.0.1.10", 1, "exact", "exact"),
            ("10.0.1.20", 2, "kernel", "kernel"),
            ("10.0.1.20", 3, "auto: exact", "exact"),
        ],
    )
    async def test_the_method_is_the_users_or_the_interfaces(
        self, destination: str, turns: int, label: str, method: str
    ) -> None:
        async with composing(CABLE) as (pilot, stage, composer):
            await enter(pilot, composer, "dst", destination)
            for turn in range(turns):
                await (pilot.press("ctrl+l") if turn else pilot.click("#method"))
            await until(pilot, lambda: next(x for x in seen(stage) if "× every" in x).split(" s ")[1].strip() == label)
            composer.ask()
            await until(pilot, lambda: stage.said(Composer.SendAsked))
            assert stage.said(Composer.SendAsked)[0].order.method == method

    async def test_so_many_so_far_apart(self) -> None:
        async with composing() as (pilot, stage, composer):
            composer.query_one("#count", Input).value = "250"
            composer.query_one("#interval", Input).value = ".05"
            composer.ask()
            await until(pilot, lambda: stage.said(Composer.SendAsked))
            order = stage.said(Composer.SendAsked)[0].order
            assert (order.count, order.interval) == (250, 0.05)

    @pytest.mark.parametrize(
        ("line", "text", "sentence"),
        [
            ("count", "", "The count needs a whole number from 1 to 100,000."),
            ("count", "1.5", "The count needs a whole number from 1 to 100,000."),
            ("count", "100001", "The count needs a whole number from 1 to 100,000."),
            ("interval", "inf", "The interval needs a number from 0.001 to 3,600."),
            ("interval", "-1", "The interval needs a number from 0.001 to 3,600."),
        ],
    )
    async def test_what_is_no_count_or_interval_is_said(self, line: str, text: str, sentence: str) -> None:
        async with composing() as (pilot, stage, composer):
            composer.query_one(f"#{line}", Input).value = text
            composer.ask()
            await until_seen(pilot, f"✖ {sentence}")
            assert not stage.said(Composer.SendAsked)

    async def test_while_it_sends_asking_is_asking_to_stop(self) -> None:
        async with composing() as (pilot, stage, composer):
            composer.sending = True
            await until_seen(pilot, "Stop F5")
            await pilot.click("#send")
            await until(pilot, lambda: stage.said(Composer.StopAsked))
            assert not stage.said(Composer.SendAsked)
            composer.sending = False
            await until_seen(pilot, "Send F5")

    async def test_what_became_of_an_order_is_text(self) -> None:
        async with composing() as (pilot, _, composer):
            composer.say("[bold]no[/] route", "error")
            await until_seen(pilot, "✖ [bold]no[/] route")
