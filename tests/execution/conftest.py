"""A Ray cluster for all tests that ask for it; they are skipped where Ray is not installed."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from cuvee.execution.ray_tasks import RayExecutor, connected


@pytest.fixture(scope="session")
def ray_executor() -> Iterator[RayExecutor]:
    """On two nodes of two cores."""
    if find_spec("ray") is None:
        pytest.skip("needs the extra ray")
    from benchmarks.ray_cluster import RayCluster

    with RayCluster.start(nodes=2, cores=2) as cluster, connected(cluster.address), RayExecutor() as executor:
        yield executor
