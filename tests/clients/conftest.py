"""One deployment of three regions and three nodes each for all tests that leave it as they found it."""

import pytest

from deployment import Deployment


@pytest.fixture(scope="session")
def deployment(tmp_path_factory):
    running = Deployment(tmp_path_factory.mktemp("deployment"))
    yield running
    running.stop()
