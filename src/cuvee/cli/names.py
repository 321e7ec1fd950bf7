"""Names out of the house's tables, for ``--help``.

The tables themselves load numpy and more; ``tests/cli/test_help.py`` holds these lists to them.
"""

LAWS = (
    "linear",
    "data_mixing_m1",
    "data_mixing_m2",
    "data_mixing_m3",
    "data_mixing_m4",
    "log_linear",
    "bimix",
    "regmix",
    "projektor",
    "effective_data",
    "gp_sqrt",
    "gp_log",
    "ensemble",
    "additive_scaling",
    "joint_scaling",
    "nested",
    "capacity_allocation",
    "effective_data_scaling",
)
DEFAULT_LAW = "effective_data"
"""That is minimised where none is named."""
METHODS = (
    "cost_aware",
    "transfer",
    "law_optimum_regmix",
    "law_optimum_effective_data",
    "expected_improvement",
    "duet",
    "mfms",
    "asha",
    "async_hyperband",
    "sobol",
    "random",
    "dirichlet",
)
METHODS_COMPARED = ("cost_aware", "transfer", "law_optimum_effective_data", "expected_improvement", "random")
"""That are played where none is named."""
VALUERS = (
    "in_run",
    "in_run_second_order",
    "in_run_sgd",
    "forward_inf",
    "forward_inf_raw",
    "forward_inf_newton",
    "rho",
    "gotd",
    "lava",
    "projektor",
    "dsir",
    "density",
    "d4",
    "disf",
    "knn_shapley",
    "ask_llm",
    "medu",
    "random",
)
VALUER_WITHOUT_MOMENTS = "forward_inf_raw"
"""The default of studies whose seed model leaves no moments of Adam."""
DEFAULT_VALUER = "forward_inf"
"""Retrained, its selections do as well as the best (``benchmarks/valuation.md``), for two forward passes."""
TRAINERS = (
    "megatron",
    "megatron-bridge",
    "nemo-automodel",
    "olmo-core",
    "levanter",
    "torchtitan",
    "torchtitan-main",
    "lingua",
    "hugging-face",
    "mosaicml",
    "litdata",
    "gpt-neox",
    "llama-factory",
    "axolotl",
    "ms-swift",
    "trl",
)


def one_of(names: tuple[str, ...]) -> str:
    """The sentence that lists them."""
    return f"One of: {', '.join(names)}."
