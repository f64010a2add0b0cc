"""rtnetlink: what the kernel is asked to make, and what it tells of it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipl_tui.networks import rtnetlink
from ipl_tui.networks.rtnetlink import KernelError, KernelLink, Rtnetlink, cable_end
from tests.conftest import wait_until

HARDWARE = bytes.fromhex("0200c0000201")
SOURCE, NEIGHBOUR, FAR = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 9]), bytes([198, 51, 100, 1])


@pytest.fixture
def kernel(own_loopback: None) -> Iterator[Rtnetlink]:
    """Of a namespace of the test's own, with a cable from a0, to b0, both with HARDWARE."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        with Rtnetlink() as kernel:
            kernel.make_cable(cable_end("a0", HARDWARE, 1400, here), cable_end("b0", HARDWARE, 1400, here))
            yield kernel
    finally:
        os.close(here)


def named(kernel: Rtnetlink, name: bytes) -> KernelLink:
    (link,) = [link for link in kernel.links() if link.name == name]
    return link


def test_a_cable_is_as_it_was_made(kernel: Rtnetlink) -> None:
    a0 = named(kernel, b"a0")
    assert (a0.hardware_address, a0.mtu, a0.loopback, a0.arp) == (HARDWARE, 1400, False, True)
    assert (a0.up, a0.running) == (False, False)
    loopback = kernel.link(1)
    assert (loopback.name, loopback.loopback, loopback.arp, loopback.up) == (b"lo", True, False, True)


def test_what_is_changed_is_told(kernel: Rtnetlink) -> None:
    number = named(kernel, b"a0").number
    for name in (b"a0", b"b0"):
        kernel.switch_on(named(kernel, name).number)
    kernel.set_mtu(number, 68)
    wait_until(lambda: kernel.link(number).running)
    assert (kernel.link(number).up, kernel.link(number).mtu) == (True, 68)


def test_addresses_and_routes(kernel: Rtnetlink) -> None:
    number = named(kernel, b"a0").number
    kernel.switch_on(number)
    kernel.switch_on(named(kernel, b"b0").number)
    kernel.add_address(number, SOURCE, 24)
    (own,) = [each for each in kernel.addresses() if each.link == number]
    assert (own.address, own.prefix_length, own.broadcast) == (SOURCE, 24, b"")
    assert kernel.route(FAR) is None
    kernel.add_default_route(NEIGHBOUR)
    near, far = kernel.route(NEIGHBOUR), kernel.route(FAR)
    assert near is not None and far is not None
    assert (near.link, near.source, near.router) == (number, SOURCE, b"")
    assert (far.link, far.source, far.router) == (number, SOURCE, NEIGHBOUR)


def test_what_the_kernel_refuses_is_its_error(kernel: Rtnetlink) -> None:
    with pytest.raises(KernelError) as problem:
        kernel.switch_on(9999)
    assert (problem.value.errno, problem.value.filename) == (errno.ENODEV, "rtnetlink 16")
    assert named(kernel, b"a0").mtu == 1400, "what is asked afterwards gets its own answer"


def test_many_interfaces_take_several_answers(kernel: Rtnetlink) -> None:
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        for number in range(1, 21):
            ends = (cable_end(f"{end}{number}", HARDWARE, 1400, here) for end in "ab")
            kernel.make_cable(*ends)
    finally:
        os.close(here)
    names = [link.name.decode() for link in kernel.links()]
    assert sorted(names) == sorted(["lo", *(f"{end}{number}" for end in "ab" for number in range(21))])


def test_loading_it_needs_nothing_that_takes_long() -> None:
    folder = str(Path(rtnetlink.__file__).parent)
    code = f"import sys; sys.path.append({folder!r}); import rtnetlink; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert not {"typing", "dataclasses", "ipaddress", "ipl_tui"} & set(done.stdout.split())
