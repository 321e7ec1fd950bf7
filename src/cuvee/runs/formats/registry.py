"""The formats of runs. A new one is a file beside this one and a row here; the first that fits is used."""

from cuvee.runs.formats.doremi import DOREMI
from cuvee.runs.formats.interface import Format
from cuvee.runs.formats.lm_eval import LM_EVAL
from cuvee.runs.formats.marked import MARKED
from cuvee.runs.formats.olmix import OLMIX
from cuvee.runs.formats.regmix import REGMIX
from cuvee.runs.formats.tidy import TIDY
from cuvee.runs.formats.wandb import WANDB
from cuvee.runs.formats.wandb_chart import CHART

FORMATS: tuple[Format, ...] = (WANDB, CHART, TIDY, MARKED, REGMIX, OLMIX, DOREMI, LM_EVAL)
"""Asked in this order: an export may also have a column ``run``, which alone is enough for Olmix."""
