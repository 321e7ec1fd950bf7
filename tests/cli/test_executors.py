"""``--executor``: options that belong together, and what is said where Ray is missing."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cuvee.cli.app import app
from cuvee.errors import ConfigError
from cuvee.execution.ray_tasks import connected
from tests.study.tiny_study import write_study


def cuvee(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", [["run"], ["scale"], ["search"], ["value", "--target", "ka"]])
@pytest.mark.parametrize("option", [["--address", "auto"], ["--job-memory", "2"], ["--artifacts", "x"]])
def test_options_of_ray_without_it_are_refused(tmp_path: Path, command: list[str], option: list[str]) -> None:
    folder = write_study(tmp_path)
    result = cuvee(command[0], folder.root, *command[1:], *option)
    assert result.exit_code == ConfigError.exit_code
    assert "give --executor ray, too" in result.stderr


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    result = cuvee("run", write_study(tmp_path).root, "--executor", "ray", "--address", "auto")
    assert result.exit_code == ConfigError.exit_code
    assert "pip install 'cuvee[ray]'" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["text"], "nothing was begun"


def test_a_cluster_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.setenv("RAY_NUM_REDIS_GET_RETRIES", "1")
    with pytest.raises(ConfigError, match=r"the Ray cluster at 'auto' cannot be reached"), connected("auto"):
        pass
