"""Fixtures of the sandbox's tests."""

import pytest

from ipl_tui.networks.interface import Interface
from ipl_tui.networks.sandbox import SandboxNetwork


@pytest.fixture
def client(sandbox: SandboxNetwork) -> Interface:
    return sandbox.find("client")
