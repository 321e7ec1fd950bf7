"""The benchmark of Ray: its kills are spread over all jobs, whatever their number. No Ray is needed."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from benchmarks.ray_cluster import RayCluster
from benchmarks.ray_study import Kills, strata


@dataclass
class Counting:
    """A cluster of three nodes on which nobody is at work."""

    raylets: list[int] = field(default_factory=lambda: [1, 2, 3])
    killed: list[int] = field(default_factory=list)

    def workers(self) -> list[int]:
        return []

    def kill_node(self, number: int) -> None:
        self.killed.append(number)


@pytest.mark.parametrize("jobs", [20, 21, 39, 63, 1000])
def test_each_part_of_the_jobs_has_its_kill(jobs: int) -> None:
    moments = strata(jobs, 20)
    assert [moment * 20 // jobs for moment in moments] == list(range(20))


def test_fewer_jobs_than_kills_are_refused() -> None:
    with pytest.raises(ValueError, match="20 kills need as many jobs; there are 19"):
        strata(19, 20)


def test_a_worker_is_waited_for_and_kills_keep_their_order() -> None:
    cluster = Counting()
    kills = Kills(cast(RayCluster, cluster), (1, 2))
    for jobs in range(4):
        kills.look(jobs)
    assert kills.done == [] and cluster.killed == [], "no worker was at work, and the node is the second"
