"""The table of exporters (floor 3). A new trainer is a file beside this one and a row here."""

import difflib

from cuvee.errors import ConfigError
from cuvee.exporters.axolotl import AXOLOTL
from cuvee.exporters.gpt_neox import GPT_NEOX
from cuvee.exporters.hugging_face import HUGGING_FACE
from cuvee.exporters.interface import Exporter
from cuvee.exporters.levanter import LEVANTER
from cuvee.exporters.lingua import LINGUA
from cuvee.exporters.litdata import LITDATA
from cuvee.exporters.llama_factory import LLAMA_FACTORY
from cuvee.exporters.megatron import MEGATRON, NEMO
from cuvee.exporters.mosaicml import MOSAICML
from cuvee.exporters.olmo_core import OLMO_CORE
from cuvee.exporters.torchtitan import TORCHTITAN

EXPORTERS: dict[str, Exporter] = {
    exporter.name: exporter
    for exporter in (
        MEGATRON,
        NEMO,
        OLMO_CORE,
        LEVANTER,
        TORCHTITAN,
        LINGUA,
        HUGGING_FACE,
        MOSAICML,
        LITDATA,
        GPT_NEOX,
        LLAMA_FACTORY,
        AXOLOTL,
    )
}


def exporter_named(name: str) -> Exporter:
    """A row of ``EXPORTERS``.

    Raises:
        ConfigError: there is none of that name; the names are told.
    """
    if name in EXPORTERS:
        return EXPORTERS[name]
    near = difflib.get_close_matches(name, EXPORTERS, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ConfigError(f"no trainer {name!r}{hint}; there are: {', '.join(EXPORTERS)}")
