"""The table of exporters. A new one is a file beside this one, a row here, and its name in `cli/names.py`."""

from cuvee.exporters.axolotl import AXOLOTL
from cuvee.exporters.gpt_neox import GPT_NEOX
from cuvee.exporters.hugging_face import HUGGING_FACE
from cuvee.exporters.interface import Exporter
from cuvee.exporters.levanter import LEVANTER
from cuvee.exporters.lingua import LINGUA
from cuvee.exporters.litdata import LITDATA
from cuvee.exporters.llama_factory import LLAMA_FACTORY
from cuvee.exporters.megatron import MEGATRON, MEGATRON_BRIDGE, NEMO_AUTOMODEL
from cuvee.exporters.mosaicml import MOSAICML
from cuvee.exporters.ms_swift import MS_SWIFT
from cuvee.exporters.olmo_core import OLMO_CORE
from cuvee.exporters.torchtitan import TORCHTITAN
from cuvee.exporters.torchtitan_main import TORCHTITAN_MAIN
from cuvee.exporters.trl import TRL
from cuvee.lookup import row_named

EXPORTERS: dict[str, Exporter] = {
    exporter.name: exporter
    for exporter in (
        MEGATRON,
        MEGATRON_BRIDGE,
        NEMO_AUTOMODEL,
        OLMO_CORE,
        LEVANTER,
        TORCHTITAN,
        TORCHTITAN_MAIN,
        LINGUA,
        HUGGING_FACE,
        MOSAICML,
        LITDATA,
        GPT_NEOX,
        LLAMA_FACTORY,
        AXOLOTL,
        MS_SWIFT,
        TRL,
    )
}


def exporter_named(name: str) -> Exporter:
    """A row of ``EXPORTERS``.

    Raises:
        ConfigError: there is none of that name; the message lists all names.
    """
    return row_named(EXPORTERS, name, "trainer")
