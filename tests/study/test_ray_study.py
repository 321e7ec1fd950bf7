"""A study on Ray, and one whose workers and nodes are killed: the same bytes as on this machine alone."""

import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ray_cluster import RayCluster, hiding
from benchmarks.ray_study import Kills, differing, made, run, run_counted, strata, write_study
from tests.study import tiny_study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray"),
]


def test_a_study_on_ray_is_that_of_this_machine_also_under_kills(tmp_path: Path) -> None:
    local = write_study(tmp_path / "local")
    run(local)
    expected = made(local)
    alone = write_study(tmp_path / "alone")
    run(alone, "--executor", "ray", "--job-memory", "0.1")
    assert differing(expected, made(alone)) == []
    with RayCluster.start(nodes=2) as cluster:
        counted = write_study(tmp_path / "counted")
        jobs = run_counted(counted, cluster.address).jobs
        assert differing(expected, made(counted)) == []
        killed = write_study(tmp_path / "killed")
        kills = Kills(cluster, strata(jobs, 6))
        assert run_counted(killed, cluster.address, kills.look).jobs == jobs
    assert [one.what for one in kills.done] == ["worker", "node"] * 3
    assert kills.hit(jobs) == 6, "from the first part of the run to the last"
    assert differing(expected, made(killed)) == []


SCALE: dict[str, Any] = {
    "target_run": {"tokens": 22_000, "max_epochs": 30},
    "scale": {"budget_flops": 1e12, "seeds": 2, "replicates": 1, "step": 2.0},
}
SEARCH: dict[str, Any] = {
    "target_run": {"tokens": 60_000, "max_epochs": 30},
    "search": {"budget_flops": 4.2e10, "target_tokens": 12_000, "scales": 1, "step": 2.0, "batch": 2},
}
VALUE = ["--target", "evaluations.ka", "--method", "in_run", "--sources", "--retrain", "0.25", "--seeds", "2"]


@pytest.mark.parametrize(
    ("command", "settings", "options"),
    [("scale", SCALE, []), ("search", SEARCH, []), ("value", {}, VALUE)],
    ids=["scale", "search", "value"],
)
def test_other_commands_on_ray_give_the_bytes_of_this_machine(
    tmp_path: Path, command: str, settings: dict[str, Any], options: list[str]
) -> None:
    found = []
    for name, where in (("local", []), ("ray", ["--executor", "ray"])):
        study = tiny_study.write_study(tmp_path / name, workers=2, **settings).root
        run(study, *options, *where, command=command)
        found.append(made(study))
    assert len(found[0]) > 50 and differing(*found) == []


def test_nodes_without_a_shared_folder_give_the_bytes_of_this_machine_also_under_kills(
    tmp_path: Path,
) -> None:
    """Raylets find the folder of all studies empty; what they pull lies in a folder of each."""
    try:
        subprocess.run([*hiding(), str(tmp_path), "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs `unshare` and the right to mount")
    studies, bucket, nodes = (tmp_path / name for name in ("studies", "bucket", "nodes"))
    for folder in (studies, bucket, nodes):
        folder.mkdir()
    local = write_study(studies / "local")
    run(local)
    expected = made(local)
    own = {"CUVEE_NODE_FOLDER": str(nodes)}
    with RayCluster.start(nodes=2, hidden=studies, environment=own) as cluster:
        pulled: dict[Path, list[str]] = {}

        def look(jobs: int) -> None:
            for file in nodes.glob("*/*/pulled.txt"):
                pulled[file] = file.read_text().splitlines()

        counted = write_study(studies / "counted")
        jobs = run_counted(counted, cluster.address, look, str(bucket)).jobs
        assert differing(expected, made(counted)) == []
        assert len(pulled) == 2 and list(nodes.iterdir()) == [], "one folder a node, gone in the end"
        for names in pulled.values():
            assert len(names) == len(set(names)), "each moved once"
            assert {"shards", "tokenizers", "checkpoints"} <= {name.split("/")[0] for name in names}
        killed = write_study(studies / "killed")
        kills = Kills(cluster, strata(jobs, 6))
        assert run_counted(killed, cluster.address, kills.look, str(bucket)).jobs == jobs
        assert list(nodes.iterdir()) == [], "also of nodes that were killed"
    assert kills.hit(jobs) >= 5, "text is tokenized by the command: no worker can be killed then"
    assert differing(expected, made(killed)) == []
    assert [path for path in bucket.rglob("*") if path.parent.name == "attempts"] == []
