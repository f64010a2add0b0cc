"""The program under test is called as its users call it."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def called_ipl_tui(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said about starting it again names this, and not pytest."""
    monkeypatch.setattr("sys.argv", ["ipl-tui"])
