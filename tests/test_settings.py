"""What is remembered between runs."""

from pathlib import Path

import pytest

from ipl_tui.cli import first_interface
from ipl_tui.settings import remember, remembered
from tests.fake_interface import FakeInterface, FakeNetwork

NETWORKS = [FakeNetwork("simulated", FakeInterface("c0")), FakeNetwork("kernel", FakeInterface("lo"))]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_at_first_it_is_the_first_networks_first() -> None:
    assert remembered("interface") == ""
    assert first_interface(NETWORKS).name == "c0"


def test_the_last_choice_is_taken_again() -> None:
    remember("interface", "c0")
    remember("interface", "lo")
    assert remembered("interface") == "lo"
    assert first_interface(NETWORKS).name == "lo"


def test_each_setting_has_its_own_place() -> None:
    remember("interface", "lo")
    remember("theme", "ipl-light")
    assert (remembered("interface"), remembered("theme")) == ("lo", "ipl-light")


def test_where_a_path_is_needed_one_without_is_not_taken() -> None:
    remember("interface", "lo")
    assert first_interface(NETWORKS, on_path=True).name == "c0"


def test_one_that_is_gone_is_forgotten() -> None:
    remember("interface", "wlan9")
    assert first_interface(NETWORKS).name == "c0"


def test_where_nothing_can_be_written_nothing_is_remembered(home: Path) -> None:
    (home / "ipl-tui").write_text("a file where the folder should be")
    remember("interface", "lo")
    assert remembered("interface") == ""


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * 1000, b""], ids=["no text", "long", "empty"])
def test_a_file_that_is_not_ours_is_ignored(home: Path, content: bytes) -> None:
    (home / "ipl-tui").mkdir()
    (home / "ipl-tui" / "interface").write_bytes(content)
    assert remembered("interface") == ""
