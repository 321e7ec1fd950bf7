"""Megatron-LM, Megatron-Bridge and NeMo Automodel: weights and paths in turn."""

from cuvee.errors import ConfigError
from cuvee.exporters.interface import Export, Exporter, ExportRequest, number, repeats
from cuvee.exporters.quoting import yaml_text

BINARY = "binary files under a prefix (.bin and .idx)"


def _arguments(recipe: ExportRequest) -> Export:
    lines = []
    for path, share in recipe.place_shares.items():
        if len(path.split()) != 1:
            raise ConfigError(f"Megatron divides at spaces, also in {path!r}; give another --path")
        lines.append(f"{number(share)} {path}")
    split = (
        "Say --split beside --data-args-path (such as --split 99,1,0), or Megatron stops; or give the words "
        "of this file to --train-data-path, with --valid-data-path for held-out text."
    )
    return Export("\n".join(lines) + "\n", (split, *repeats(recipe)))


def _blend(recipe: ExportRequest) -> list[str]:
    """Weights as text, since both trainers declare a list of strings."""
    lines = []
    for path, share in recipe.place_shares.items():
        lines += [f"    - {yaml_text(number(share))}", f"    - {yaml_text(path)}"]
    return lines


def _settings(recipe: ExportRequest) -> list[str]:
    length = [f"  seq_length: {recipe.sequence_length}"] if recipe.sequence_length else []
    return [*length, f"  split: {yaml_text(SPLIT)}"]


SPLIT = "99,1,0"
"""Of every source: training, validation, test."""
_SPLIT_SAID = (
    f"split is {SPLIT} of every source (training, validation, test), as one is required; set it as you wish."
)


def _bridge(recipe: ExportRequest) -> Export:
    seed = f"  random_seed: {recipe.seed}"
    lines = ["dataset:", "  data_path:", *_blend(recipe), *_settings(recipe), seed]
    return Export("\n".join(lines) + "\n", (_SPLIT_SAID, *repeats(recipe)))


def _automodel(recipe: ExportRequest) -> Export:
    target = "nemo_automodel.components.datasets.llm.megatron_dataset.MegatronPretraining"
    lines = ["dataset:", f"  _target_: {target}", "  paths:", *_blend(recipe), *_settings(recipe)]
    loss = (
        "Every token counts alike in the loss. With domain_mixture, a domain's loss is multiplied by its "
        "objective weight over its sampling weight: leave it out, or make both the shares above."
    )
    return Export("\n".join([*lines, f"  seed: {recipe.seed}"]) + "\n", (_SPLIT_SAID, loss, *repeats(recipe)))


MEGATRON = Exporter(
    name="megatron",
    title="Megatron-LM",
    version="core 0.19.2",
    read_from="megatron/core/datasets/blended_megatron_dataset_config.py, megatron/training/arguments.py",
    documentation="https://docs.nvidia.com/megatron-core/developer-guide/latest/api-guide/datasets.html",
    unit="samples",
    filename="data-args.txt",
    write=_arguments,
    expects=BINARY,
    tokens="megatron",
)
"""The file of ``--data-args-path``."""

MEGATRON_BRIDGE = Exporter(
    name="megatron-bridge",
    title="Megatron-Bridge",
    version="0.6.2",
    read_from="megatron/bridge/training/config.py, megatron/core/datasets/utils.py",
    documentation="https://docs.nvidia.com/nemo/megatron-bridge/latest/training/config-container-overview.html",
    unit="samples",
    filename="data.yaml",
    write=_bridge,
    expects=BINARY,
    tokens="megatron",
)
"""The part ``dataset`` of its configuration; ``data_path`` becomes ``blend``."""

NEMO_AUTOMODEL = Exporter(
    name="nemo-automodel",
    title="NeMo Automodel",
    version="0.7.0",
    read_from="nemo_automodel/components/datasets/llm/megatron_dataset.py, "
    "nemo_automodel/components/training/domain_mixture.py",
    documentation="https://docs.nvidia.com/nemo/automodel/latest/guides/llm/pretraining.html",
    unit="samples",
    filename="data.yaml",
    write=_automodel,
    expects=BINARY,
    tokens="megatron",
)
"""The part ``dataset`` of a recipe."""
