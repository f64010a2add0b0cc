"""Why nothing came back: the reason that is found, from the most certain to the unknown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from ipl_tui.diagnosis import unanswered
from ipl_tui.diagnosis.unanswered import (
    Unanswered,
    explain,
    look_into,
    offers_all,
)
from ipl_tui.networks.interface import find_interface
from ipl_tui.networks.kernel import KernelInterface, KernelNetwork
from ipl_tui.networks.links import read_link
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.packets.craft import PRESETS, Draft, craft
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.tracking.fate import Fate, Unknown
from ipl_tui.tracking.matching import asks
from tests.conftest import Pair, inside, run_ip

ECHO = next(preset.draft for preset in PRESETS if "echo" in preset.name)
SIMULATED = SimulatedNetwork()
CLIENT = SIMULATED.find("client")
ASKED = Draft(src="10.0.1.10", dst="10.0.2.20", payload=CLIENT_MESSAGE)


def sent(draft: Draft = ASKED) -> Unanswered:
    """A packet that left a simulated interface and was captured there."""
    packet = craft(draft).packet
    return Unanswered(
        packet, "exact", CLIENT, SIMULATED, 3, capturing=True, seen=packet, served=253, servers=("10.0.2.20",)
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 5}, "its Version is 5: receivers drop it in silence"),
        ({"ihl": 4}, "its IHL says 16 bytes: receivers drop it in silence"),
        ({"len": 60}, "its Total Length says 60: receivers drop it in silence"),
        ({"chksum": 1}, "its Header Checksum is wrong: receivers drop it in silence"),
        ({"mf": 1}, "it is a fragment, and its receiver waits for the others"),
        ({"frag": 8}, "it is a fragment, and its receiver waits for the others"),
        ({"ttl": 0}, "its Time to Live is 0: no router forwards it"),
        ({"dst": "224.0.0.1"}, "224.0.0.1 is for many: servers answer what is for them alone"),
        ({"dst": "10.0.1.255"}, "10.0.1.255 is for many"),
        ({"dst": "255.255.255.255"}, "255.255.255.255 is for many"),
        ({"dst": "10.0.1.10"}, "no frame reaches 10.0.1.10, the sender itself: send by kernel"),
        ({"src": "10.9.9.9"}, "its Source is 10.9.9.9, no address of c0: answers go there"),
        ({"src": None}, "its Source is 0.0.0.0, no address of c0: answers go there"),
    ],
)
def test_what_the_packet_itself_says(change: dict[str, int | str], reason: str) -> None:
    sentence = explain(sent(replace(ASKED, **change)))  # type: ignore[arg-type]
    assert sentence.startswith(f"Sent on c0, seen on c0, nothing came back in 3.0 s: {reason}")
    assert sentence.endswith(".")


def test_what_the_kernel_writes_is_not_held_against_the_packet() -> None:
    case = replace(sent(replace(ASKED, chksum=1, len=60, src=None)), method="kernel", seen=b"")
    assert "Checksum" not in explain(case)
    assert "Length" not in explain(case)
    assert "Source" not in explain(case)


def test_an_echo_request_with_a_wrong_checksum_of_its_own() -> None:
    assert asks(craft(ECHO).packet)
    wrong = replace(ASKED, proto=1, payload=ECHO.payload[:-1] + b"\0")
    assert "its ICMP checksum is wrong" in explain(sent(wrong))


def test_what_the_network_knows_comes_first() -> None:
    case = replace(sent(replace(ASKED, chksum=1)), fate="Lost on the link c0-r0, which loses 20% of all frames.")
    assert explain(case) == (
        "Sent on c0, seen on c0, nothing came back in 3.0 s: Lost on the link c0-r0, which loses 20% of all frames."
    )


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        ("", ""),
        (
            "The router discards it: its Time to Live is used up (RFC 1812 §5.3.1); time exceeded goes back.",
            ": The router discards the answer: the answer's Time to Live is used up (RFC 1812 §5.3.1); time exceeded "
            "goes back",
        ),
        (
            "Lost on the link r1-s0, which loses 50% of all frames.",
            ": Lost on the link r1-s0, which loses 50% of all frames",
        ),
        (
            "Last seen leaving the server on s0: it did not arrive on r1.",
            ": Last seen leaving the server on s0: the answer did not arrive on r1",
        ),
    ],
)
def test_what_became_of_the_answer_is_not_said_of_the_packet(fate: str, reason: str) -> None:
    case = replace(sent(replace(ASKED, chksum=1)), answer=5, fate_of_answer=fate)
    assert explain(case) == (
        f"Sent on c0, seen on c0, nothing came back in 3.0 s: the answer, packet 5, did not come back{reason}."
    )


class TestTheFilter:
    def test_leaves_the_packet_out(self) -> None:
        case = replace(sent(), filter="tcp", seen=b"")
        assert explain(case) == (
            "Sent on c0, not seen on c0, nothing came back in 3.0 s: "
            'the filter "tcp" leaves it out, and perhaps its answer.'
        )

    @pytest.mark.parametrize("draft", [ASKED, replace(ASKED, proto=1, payload=ECHO.payload)])
    def test_leaves_the_answer_out(self, draft: Draft) -> None:
        case = replace(sent(draft), filter="dst host 10.0.2.20")
        assert 'the filter "dst host 10.0.2.20" leaves the answer out' in explain(case)

    def test_takes_both(self) -> None:
        assert "filter" not in explain(replace(sent(), filter="ip proto 253"))

    @pytest.mark.parametrize("linktype", [0, 1, 12, 101, 108, 113, 276])
    def test_is_tried_on_frames_of_every_kind(self, linktype: int) -> None:
        tunnel = KernelInterface("any", "up", (IPv4Interface("10.0.1.10/24"),), linktype, 1500)
        case = replace(sent(), interface=tunnel)
        assert "leaves the answer out" in explain(replace(case, filter="src host 10.0.1.10"))
        assert "leaves it out" in explain(replace(case, filter="src host 10.0.2.20", seen=b""))
        assert "filter" not in explain(replace(case, filter="ip proto 253 and host 10.0.2.20"))

    @pytest.mark.parametrize(
        ("filter", "ending"),
        [
            (
                "src host 10.0.1.10",
                'the filter "src host 10.0.1.10" leaves the answer out. Ctrl+O captures without it.',
            ),
            (
                "ip proto 253",
                'only, not at 10.0.2.20. The filter "ip proto 253" would hide an ICMP error about it. '
                "Ctrl+O captures without it.",
            ),
            ("ip proto 253 or icmp", "only, not at 10.0.2.20."),
            ("ip", "only, not at 10.0.2.20."),
            ("", "only, not at 10.0.2.20."),
        ],
    )
    def test_in_the_lab_it_is_offered_to_go_on_without_it(self, filter: str, ending: str) -> None:
        sentence = explain(replace(sent(), filter=filter, in_lab=True, servers=("10.0.2.99",)))
        assert sentence.endswith(ending)
        assert offers_all(sentence) == ("Ctrl+O" in ending)

    def test_nobody_objects_to_what_receivers_drop_in_silence(self) -> None:
        sentence = explain(replace(sent(replace(ASKED, chksum=1)), filter="ip proto 253", in_lab=True))
        assert sentence.endswith("its Header Checksum is wrong: receivers drop it in silence.")

    @pytest.mark.parametrize("linktype", [None, 105])
    def test_of_frames_that_can_not_be_made_here_says_nothing(self, linktype: int | None) -> None:
        strange = KernelInterface("any", "up", (IPv4Interface("10.0.1.10/24"),), linktype, 1500)
        case = replace(sent(), interface=strange, network=KernelNetwork(), filter="tcp")
        assert "filter" not in explain(case)


class TestTheNetwork:
    def test_nobody_answers(self) -> None:
        silent = replace(sent(), served=None)
        assert explain(silent).endswith("s: no server listens there.")
        assert explain(replace(silent, in_lab=True)).endswith("s: no server listens there; F6 starts one.")
        inexact = replace(sent(replace(ASKED, payload=b"> ClientMessage")), served=None, in_lab=True)
        assert explain(inexact).endswith("s: no server listens there."), "the responder does not answer it"
        pinged = sent(replace(ASKED, proto=1, payload=ECHO.payload))
        assert "no server" not in explain(replace(pinged, served=None))

    @pytest.mark.parametrize("destination", ["10.0.1.1", "10.0.2.99"])
    def test_elsewhere_there_is_no_server(self, destination: str) -> None:
        elsewhere = sent(replace(ASKED, dst=destination))
        assert explain(elsewhere).endswith(f"s: servers listen at 10.0.2.20 only, not at {destination}.")
        pinged = sent(replace(ASKED, dst=destination, proto=1, payload=ECHO.payload))
        assert "servers" not in explain(pinged)

    @pytest.mark.parametrize(
        "change", [{"payload": b"hello"}, {"payload": b"> ClientMessage"}, {"proto": 1}, {"proto": 254}, {"len": 30}]
    )
    def test_it_is_not_what_is_answered(self, change: dict[str, int | bytes]) -> None:
        case = sent(replace(ASKED, **change))  # type: ignore[arg-type]
        reason = "it is neither a ping nor exactly ClientMessage by protocol 253, which are answered there"
        assert explain(case).endswith(f"s: {reason}.")

    def test_the_server_has_another_protocol(self) -> None:
        case = replace(sent(replace(ASKED, proto=200)), served=200)
        assert "neither" not in explain(case)

    def test_a_length_that_the_kernel_writes_says_nothing_of_the_message(self) -> None:
        assert "neither" not in explain(replace(sent(replace(ASKED, len=30)), method="kernel", seen=b""))

    def test_its_links_lose(self) -> None:
        with closing(SimulatedNetwork()) as network:
            network.set_link(read_link("r1-s0:loss=20%", network.links()))
            assert "r1-s0 loses 20% of its frames" in explain(replace(sent(), network=network))

    def test_where_it_ended_is_to_be_seen(self) -> None:
        assert explain(replace(sent(), in_lab=True)).endswith(
            "s: the reason is not known; F9 shows where such a packet ends."
        )
        lab = "the lab, ipl-tui -i simulated:client/c0 --path,"
        assert explain(sent()).endswith(f"s: the reason is not known; {lab} shows where such a packet ends.")

    def test_there_is_no_way(self) -> None:
        case = replace(sent(replace(ASKED, src="10.0.1.1")), interface=SIMULATED.find("router/r0"))
        assert "s: packets to 10.0.2.20 leave by r1, not by r0." in explain(case)


class TestThisMachine:
    def case(self, veth: Pair, destination: str = "10.0.1.20", draft: Draft = ASKED) -> Unanswered:
        packet = craft(replace(draft, dst=destination)).packet
        c0 = find_interface("c0", [KernelNetwork()])
        return Unanswered(packet, "exact", c0, KernelNetwork(), 3, capturing=True, seen=packet)

    def test_nothing_is_known(self, veth: Pair) -> None:
        with inside(veth.client.namespace):
            assert explain(self.case(veth)).endswith(
                "s: perhaps nobody at 10.0.1.20 listens to protocol 253, or a firewall drops it."
            )
            pinged = self.case(veth, draft=replace(ASKED, proto=1, payload=ECHO.payload))
            assert "perhaps nobody at 10.0.1.20 answers pings" in explain(pinged)

    def test_without_a_capture_nothing_is_said_of_what_was_seen(self, veth: Pair) -> None:
        with inside(veth.client.namespace):
            case = replace(self.case(veth), capturing=False, seen=b"", waited=15)
            assert explain(case).startswith("Sent on c0, nothing came back in 15.0 s: perhaps nobody at 10.0.1.20")

    def test_it_was_sent_and_not_seen(self, veth: Pair) -> None:
        with inside(veth.client.namespace):
            assert explain(replace(self.case(veth), seen=b"")).endswith(
                ", not seen on c0, nothing came back in 3.0 s: something took it before c0, a firewall perhaps."
            )

    def test_the_route_goes_elsewhere(self, veth: Pair) -> None:
        with inside(veth.client.namespace):
            run_ip("-n", veth.client.namespace, "link", "add", "d0", "type", "veth", "peer", "name", "d1")
            run_ip("-n", veth.client.namespace, "address", "add", "10.3.0.1/24", "dev", "d0")
            for end in ("d0", "d1"):
                run_ip("-n", veth.client.namespace, "link", "set", end, "up")
            assert "packets to 10.3.0.9 leave by d0, from 10.3.0.1, not by c0" in explain(self.case(veth, "10.3.0.9"))
            assert "s: no route leads to 10.9.9.9." in explain(self.case(veth, "10.9.9.9"))

    def test_it_is_this_machine_itself(self, veth: Pair) -> None:
        with inside(veth.client.namespace):
            assert "the sender itself: send by kernel" in explain(self.case(veth, "10.0.1.10"))
            by_kernel = replace(self.case(veth, "10.0.1.10"), method="kernel", seen=b"")
            assert "10.0.1.10 is this machine's own address, reached by lo, not c0" in explain(by_kernel)

    @pytest.mark.parametrize(
        ("destination", "draft", "helps"),
        [
            ("127.0.0.1", ASKED, True),
            ("127.0.0.2", ASKED, False),  # the responder answers for 127.0.0.1 alone
            ("10.0.1.20", ASKED, False),
            ("127.0.0.1", replace(ASKED, payload=b"ClientMessage?"), False),
            ("127.0.0.1", replace(ASKED, proto=254), False),
        ],
    )
    def test_f6_is_advised_where_it_would_bring_the_answer(self, destination: str, draft: Draft, helps: bool) -> None:
        lo = find_interface("lo", [KernelNetwork()])
        packet = craft(replace(draft, src="127.0.0.1", dst=destination)).packet
        case = Unanswered(packet, "kernel", lo, KernelNetwork(), 3, capturing=True, seen=packet, in_lab=True)
        advice = "s: perhaps nobody at 127.0.0.1 listens to protocol 253 (F6 turns the responder on), or a firewall"
        assert (advice in explain(case)) == ("F6" in explain(case)) == helps
        for other in (replace(case, served=253), replace(case, in_lab=False)):
            assert "F6" not in explain(other)

    def test_its_firewall(self, veth: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unanswered, "read_rules", lambda: "*filter\n:INPUT DROP [0:0]\nCOMMIT\n")
        with inside(veth.client.namespace):
            assert "iptables chain filter INPUT drops IP protocol 253 arriving" in explain(self.case(veth))

    @pytest.mark.parametrize("rules", ["*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", "-A INPUT -j DROP"])
    def test_its_firewall_where_that_is_not_the_reason(
        self, veth: Pair, monkeypatch: pytest.MonkeyPatch, rules: str
    ) -> None:
        """An own packet never passes through; and what is not understood is no reason."""
        monkeypatch.setattr(unanswered, "read_rules", lambda: rules)
        with inside(veth.client.namespace):
            assert "s: perhaps nobody at 10.0.1.20 listens to protocol 253" in explain(self.case(veth))

    def test_its_firewall_the_most_certain_first(self, veth: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
        rules = "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT DROP [0:0]\n-A INPUT -s 10.0.0.0/8 -j DROP\nCOMMIT\n"
        monkeypatch.setattr(unanswered, "read_rules", lambda: rules)
        with inside(veth.client.namespace):
            assert "OUTPUT drops IP protocol 253 leaving" in explain(self.case(veth))


RESPONSE = craft(Draft(src="10.0.2.20", dst="10.0.1.10", payload=SERVER_RESPONSE)).packet
REPLY = craft(Draft(proto=1, src="10.0.2.20", dst="10.0.1.10", payload=b"\0" + ECHO.payload[1:])).packet
PING = craft(replace(ECHO, src="10.0.1.10", dst="10.0.2.20")).packet
REQUEST = craft(ASKED).packet


@pytest.mark.parametrize("unknown", ["too many frames", "cut frames", "unreadable", "not looked for"])
def test_nothing_is_said_where_it_is_not_known_whether_it_was_answered(unknown: Unknown) -> None:
    assert look_into(sent(), Fate(unknown=unknown)) is None


def test_what_a_filter_hides_is_explained() -> None:
    case = look_into(replace(sent(), filter="dst host 10.0.2.20"), Fate(REQUEST, unknown="filtered"))
    assert case is not None and "leaves the answer out" in explain(case)


def test_what_was_answered_where_it_was_sent_needs_no_reason() -> None:
    assert look_into(sent(), Fate(answers=(2,), answered_on=frozenset({"s0", "c0"}))) is None
    case = look_into(sent(), Fate(REQUEST, answers=(2, 5), answered_on=frozenset({"s0"}), answer_lost="It was lost."))
    assert case == replace(sent(), seen=REQUEST, answer=2, fate_of_answer="It was lost.")


class TestPublicAddress:
    @pytest.fixture(autouse=True)
    def behind_a_router(self, veth: Pair) -> Iterator[None]:
        """The test runs where addresses are private and a router leads on."""
        run_ip("-n", veth.client.namespace, "route", "add", "default", "via", "10.0.1.20")
        with inside(veth.client.namespace):
            yield

    @staticmethod
    def case(**change: object) -> Unanswered:
        network = KernelNetwork()
        packet = craft(Draft(src="10.0.1.10", dst="203.0.113.7", payload=CLIENT_MESSAGE)).packet
        sent = Unanswered(packet, "exact", network.find("c0"), network, 3, capturing=True, seen=packet)
        return replace(sent, **change)  # type: ignore[arg-type]

    @pytest.mark.parametrize("rules", [None, "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 10.0.0.1 -j ACCEPT\nCOMMIT\n"])
    def test_it_leaves_and_is_not_translated(self, monkeypatch: pytest.MonkeyPatch, rules: str | None) -> None:
        """Whatever a firewall that may drop something may be."""
        monkeypatch.setattr(unanswered, "read_rules", lambda: rules)
        sentence = explain(self.case())
        assert sentence.startswith(
            "Sent on c0, seen on c0, nothing came back in 3.0 s: packets to 203.0.113.7, a public address, leave from "
            "10.0.1.10, a private one: a router between them has to translate (NAT)"
        )
        assert sentence.endswith(
            "nothing leads from it back in to you: use 10.0.1.10, this machine's own, or 127.0.0.1."
        )

    def test_a_client_that_captures_nothing_is_told_too(self) -> None:
        assert "has to translate (NAT)" in explain(self.case(capturing=False, seen=b"", method="kernel"))

    def test_what_did_not_leave_was_not_translated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unanswered, "read_rules", lambda: None)
        assert "something took it before c0" in explain(self.case(seen=b""))

    def test_a_ping_is_translated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unanswered, "read_rules", lambda: None)
        packet = craft(replace(ECHO, src="10.0.1.10", dst="203.0.113.7")).packet
        assert "perhaps nobody at 203.0.113.7 answers pings" in explain(self.case(packet=packet, seen=packet))


def test_from_one_own_address_to_another(veth: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unanswered, "read_rules", lambda: None)
    network = KernelNetwork()
    with inside(veth.client.namespace):
        packet = craft(Draft(src="10.0.1.10", dst="10.0.1.10", payload=CLIENT_MESSAGE)).packet
        case = Unanswered(packet, "kernel", network.find("lo"), network, 3, capturing=True, seen=packet)
        assert "perhaps nobody at 10.0.1.10 listens to protocol 253" in explain(case)
