"""The hosts and the network that the tests of the simulated network begin with."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from ipl_tui.networks.simulated import SimulatedNetwork
from tests.networks.simulated.hosts import Lab, acquainted


@pytest.fixture
def lab() -> Lab:
    return acquainted()


@pytest.fixture
def network() -> Iterator[SimulatedNetwork]:
    with closing(SimulatedNetwork()) as network:
        yield network
