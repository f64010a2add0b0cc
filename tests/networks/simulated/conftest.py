"""What the tests of simulated hosts begin with."""

import pytest

from tests.networks.simulated.hosts import Lab, acquainted


@pytest.fixture
def lab() -> Lab:
    return acquainted()
