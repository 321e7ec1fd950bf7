"""Megatron-LM and NeMo: weights and paths in turn (floor 3)."""

from cuvee.errors import ConfigError
from cuvee.exporters.interface import Export, Exporter, Recipe, number, repeats
from cuvee.exporters.quoting import yaml_text


def _arguments(recipe: Recipe) -> Export:
    lines = []
    for name, share in recipe.shares.items():
        path = recipe.path(name)
        if len(path.split()) != 1:
            raise ConfigError(
                f"source {name!r}: Megatron divides at spaces, also in {path!r}; give another --path"
            )
        lines.append(f"{number(share)} {path}")
    return Export("\n".join(lines) + "\n", repeats(recipe))


def _yaml(recipe: Recipe) -> Export:
    entries = [
        f"    - {number(share)}\n    - {yaml_text(recipe.path(name))}\n"
        for name, share in recipe.shares.items()
    ]
    return Export("model:\n  data:\n    data_prefix:\n" + "".join(entries), repeats(recipe))


MEGATRON = Exporter(
    name="megatron",
    title="Megatron-LM",
    version="core 0.13",
    documentation="https://docs.nvidia.com/megatron-core/developer-guide/latest/api-guide/datasets.html",
    unit="samples",
    filename="data-args.txt",
    write=_arguments,
    expects="binary files under a prefix (.bin and .idx)",
)
"""The file of ``--data-args-path``."""

NEMO = Exporter(
    name="nemo",
    title="NeMo",
    version="1.23",
    documentation="https://docs.nvidia.com/nemo-framework/user-guide/latest/data/pretrain_data.html",
    unit="samples",
    filename="data.yaml",
    write=_yaml,
    expects="binary files under a prefix (.bin and .idx)",
)
"""``data_prefix`` of NeMo 1; NeMo 2 takes the same list as ``paths`` of PreTrainingDataModule.

On paths for fine-tuning NeMo takes numbers otherwise.
"""
