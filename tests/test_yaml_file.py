"""Study files that are meant to do harm, and what is said of them."""

import os
from pathlib import Path

import pytest

from cuvee.errors import ConfigError
from cuvee.yaml_file import parse_yaml, read_yaml


def bomb(levels: int = 9) -> str:
    """A few hundred bytes that would be ten to the power of ``levels`` strings."""
    lines = ['a0: &a0 "lol"']
    lines += [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(levels)]
    return "\n".join(lines)


def test_aliases_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'study\.yaml:2: alias "\*a0": write the value out instead'):
        parse_yaml(bomb(), "study.yaml")
    assert parse_yaml("a: &anchor 1\n", "study.yaml") == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 20_000,
        "a: " + "{b: " * 20_000,
        "\n".join(" " * n + "a:" for n in range(2000)),
        "? " * 5000,
    ],
    ids=["lists", "mappings", "blocks", "keys"],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"study\.yaml: is nested too deeply"):
        parse_yaml(text, "study.yaml")


@pytest.mark.parametrize(
    "value", ["9" * 5000, "!!int abc", "!!float abc", "!!bool x", "!!timestamp 2020-99-99"]
)
def test_values_that_cannot_be_are_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"study\.yaml: a value cannot be read"):
        parse_yaml(f"a: {value}", "study.yaml")


def test_only_regular_files_of_some_size_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(ConfigError, match="is no regular file"):
            read_yaml(path)
    with pytest.raises(ConfigError, match="no such file"):
        read_yaml(tmp_path / "gone.yaml")
    (tmp_path / "large.yaml").write_text("#" * (1 << 21) + "\na: 1\n")
    with pytest.raises(ConfigError, match="larger than 2 MB"):
        read_yaml(tmp_path / "large.yaml")


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(tmp_path / "study.yaml") == {"a": 1}
