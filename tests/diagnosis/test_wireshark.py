"""The capture in other programs: the tcpdump line, and Wireshark on a copy."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
from contextlib import closing
from fcntl import ioctl
from pathlib import Path

import pytest

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.files import read_capture
from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.diagnosis import wireshark
from ipl_tui.diagnosis.wireshark import open_in_wireshark, tcpdump_line
from ipl_tui.networks.sandbox import SandboxNetwork
from ipl_tui.networks.sandbox.process import SandboxError
from ipl_tui.networks.simulated import SimulatedNetwork
from tests.conftest import go_without, wait_until
from tests.fake_interface import FakeInterface

SIOCGSKNS = 0x894C
"""Gives the network namespace of a socket; linux/sockios.h."""

FAKE = """\
#!/bin/sh
echo "$@" > {told}.part
mv {told}.part {told}
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called wireshark, which writes what it was started with into this file."""
    folder, told = tmp_path / "bin", tmp_path / "told"
    folder.mkdir()
    program = folder / "wireshark"
    program.write_text(FAKE.format(told=told))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return told


class TestTcpdump:
    @pytest.mark.parametrize(
        ("name", "filter", "line"),
        [
            ("lo", "ip proto 253", "tcpdump -n -i lo 'ip proto 253'"),
            ("lo", "", "tcpdump -n -i lo"),
            ("odd name;", "ip[8] > 1 && tcp", "tcpdump -n -i 'odd name;' 'ip[8] > 1 && tcp'"),
            ("lo", "-1 < len", "tcpdump -n -i lo -- '-1 < len'"),
        ],
    )
    def test_of_an_interface_of_this_machine(
        self, name: str, filter: str, line: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        interface = FakeInterface(name)
        monkeypatch.setattr("os.geteuid", lambda: 0)
        assert tcpdump_line(interface, filter) == line
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        assert tcpdump_line(interface, filter) == f"sudo {line}"

    def test_of_a_simulated_one_there_is_none(self) -> None:
        interface = SimulatedNetwork().find("client")
        assert tcpdump_line(interface, "") == ""
        assert "in this program's memory" in interface.no_tcpdump

    @pytest.mark.usefixtures("needs_root")
    def test_of_the_sandbox_it_sees_what_passes_there(self, sandbox: SandboxNetwork) -> None:
        if not shutil.which("tcpdump"):
            go_without("needs tcpdump")
        server = sandbox.find("server")
        line = tcpdump_line(server, "ip proto 253")
        assert line.endswith("tcpdump -n -i s0 'ip proto 253'")
        command = [*shlex.split(line), "-c1", "-l", "--immediate-mode"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tcpdump:
            assert tcpdump.stderr is not None and tcpdump.stdout is not None
            while "listening on s0" not in (said := tcpdump.stderr.readline()):
                assert said, "tcpdump listens"
            sandbox.find("client").send(client_message(), "exact")
            assert "10.0.1.10 > 10.0.2.20" in tcpdump.stdout.readline()

    @pytest.mark.usefixtures("needs_root")
    def test_each_host_of_the_sandbox_has_its_namespace(self, sandbox: SandboxNetwork) -> None:
        for host in ("server", "client", "router"):
            with sandbox.find(host).open_stream() as opened, os.fdopen(ioctl(opened, SIOCGSKNS)) as its:
                enter, namespace, *_ = sandbox.find(host).tcpdump()
                assert enter == "nsenter"
                assert os.path.samestat(os.fstat(its.fileno()), os.stat(namespace.removeprefix("--net=")))

    def test_of_a_sandbox_that_can_not_be_made_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse() -> None:
            raise SandboxError

        with closing(SandboxNetwork()) as network:
            monkeypatch.setattr(network, "helper", refuse)
            assert tcpdump_line(network.find("client"), "") == ""

    def test_without_the_sandbox_it_is_said_where_the_line_is(self) -> None:
        with closing(SandboxNetwork()) as network:
            assert "d in the lab" in network.find("client").no_tcpdump


def client_message() -> bytes:
    from ipl_tui.packets.craft import Draft, craft

    return craft(Draft(src="10.0.1.10", dst="10.0.2.20", payload=b"ClientMessage")).packet


def test_wireshark_is_started_on_a_private_copy(installed: Path) -> None:
    with Store() as store, Store() as copied:
        store.append(store.add_interface("lo", 1), Batch(b"frame" * 12, [(1, 0, 60, 60)]))
        path = open_in_wireshark(store)
        wait_until(installed.exists)
        assert installed.read_text().split() == [str(path)]
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        read_capture(path, copied)
        assert copied.frame(1).data == b"frame" * 12


def test_where_it_is_not_installed_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with Store() as store, pytest.raises(CaptureError, match="Wireshark is not installed: F8 saves the capture"):
        open_in_wireshark(store)


def test_where_there_is_no_screen_for_it_that_is_said(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with Store() as store, pytest.raises(CaptureError, match="needs a graphical screen"):
        open_in_wireshark(store)
    assert not installed.exists()


def test_a_program_that_does_not_start_is_said(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wireshark, "find_wireshark", lambda: str(installed.parent))
    with Store() as store, pytest.raises(CaptureError, match=r"Wireshark did not start: Permission denied\."):
        open_in_wireshark(store)
