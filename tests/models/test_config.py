"""The dial from a number of parameters to an architecture."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from tests.models.tiny_models import tiny_config


@pytest.mark.parametrize(
    ("parameters", "vocabulary"),
    [
        (300_000, 1024),
        (1_300_000, 4096),
        (5_000_000, 8192),
        (20_000_000, 16_384),
        (120_000_000, 32_000),
        (1_000_000_000, 50_000),
    ],
)
def test_the_dial_meets_its_number(parameters: int, vocabulary: int) -> None:
    config = ModelConfig.for_parameters(parameters, vocabulary, 128)
    assert abs(config.parameters / parameters - 1) <= 0.25
    assert config.vocabulary_size == vocabulary
    assert config.context_length == 128
    # A reasonable shape: neither a thread nor a pancake.
    assert 8 <= config.width / config.layers <= 256
    assert config.width * 2 <= config.hidden <= config.width * 3.5
    assert config.head_width % 2 == 0


@given(st.floats(5.6, 9.0))
def test_every_size_between_is_there(exponent: float) -> None:
    parameters = 10**exponent
    config = ModelConfig.for_parameters(parameters, 512, 64)
    assert abs(config.parameters / parameters - 1) <= 0.25


def test_larger_numbers_give_larger_models() -> None:
    sizes = [ModelConfig.for_parameters(1e6 * 2**i, 1024, 64).parameters for i in range(9)]
    assert all(a < b for a, b in pairwise(sizes))


@pytest.mark.parametrize("parameters", [99_999, 2.1e9, 0, -1, float("nan"), float("inf")])
def test_a_number_outside_the_dial_is_told(parameters: float) -> None:
    with pytest.raises(ConfigError, match=r"model\.parameters: .* is outside"):
        ModelConfig.for_parameters(parameters, 1024, 64)


def test_a_vocabulary_larger_than_the_model_is_told() -> None:
    with pytest.raises(ConfigError, match="vocabulary of 50000; choose more parameters or a smaller"):
        ModelConfig.for_parameters(300_000, 50_000, 64)


@pytest.mark.parametrize(
    "change",
    [{"width": 33}, {"heads": 3}, {"heads": 32}, {"layers": 0}, {"hidden": 0}, {"context_length": 0}],
)
def test_an_impossible_architecture_is_told(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="model: "):
        replace(tiny_config(), **change)


def test_parameters_and_flops_in_closed_form() -> None:
    config = ModelConfig(vocabulary_size=10, context_length=8, width=4, layers=3, heads=2, hidden=6)
    layer = 4 * 4 * 4 + 3 * 4 * 6
    assert config.parameters == 10 * 4 + 3 * layer + (2 * 3 + 1) * 4
    assert config.parameters == Llama(config).layout.size
    attention = 2 * 3 * 4 * 8  # scores and values, each half of T x T
    assert config.flops_per_token == 2 * (3 * layer + 10 * 4) + attention
    assert config.flops_at(1) == config.flops_per_token - attention * (1 - 1 / config.context_length)


def test_the_hash_is_of_the_architecture() -> None:
    config = tiny_config()
    assert config.model_hash == tiny_config().model_hash
    changes = [
        {name: getattr(config, name) * 2}
        for name in ("vocabulary_size", "context_length", "width", "layers", "hidden", "rope_theta")
    ]
    hashes = {replace(config, **change).model_hash for change in changes}
    assert len(hashes | {config.model_hash}) == len(changes) + 1


@pytest.mark.parametrize(("parameters", "vocabulary"), [(100_000, 300), (215_307, 4096), (1.3e6, 4096)])
def test_a_model_is_found_again_by_its_own_size(parameters: float, vocabulary: int) -> None:
    """Which ``for_parameters`` does not do: the nearest to 100 000 may be smaller than the least it takes."""
    chosen = ModelConfig.for_parameters(parameters, vocabulary, 64)
    assert ModelConfig.of_size(chosen.parameters, vocabulary, 64) == chosen
    with pytest.raises(ConfigError, match="exactly"):
        ModelConfig.of_size(chosen.parameters + 1, vocabulary, 64)
