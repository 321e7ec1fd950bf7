"""The worth of documents and sources: what a pool's text does for a target.

One table of documents, three substrates (embeddings, directional derivatives, optimal transport), one short
file a method; ``methods.VALUERS`` lists the methods.

    values = valuer_named("dsir").value(pool, target, Substrates(), seed=0)
    kept = select(values, pool, budget_tokens=1_000_000)
"""

from cuvee.valuation.clients import EndpointJudge, LocalJudge
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.encoders import FolderEncoder
from cuvee.valuation.kept_rows import KeptRows
from cuvee.valuation.offer import Offer, PriceCurve
from cuvee.valuation.offers import acquire
from cuvee.valuation.proxy_model import ProxyModel
from cuvee.valuation.proxy_training import ProxyTraining
from cuvee.valuation.selection import Selection, select
from cuvee.valuation.source_game import coalitions, leave_one_out, shapley
from cuvee.valuation.substrates import NotAtHand, Substrates
from cuvee.valuation.trace import Tracer
from cuvee.valuation.valuer import Valuer
from cuvee.valuation.values import SourceValue, Values

__all__ = [
    "DocumentTable",
    "EndpointJudge",
    "FolderEncoder",
    "KeptRows",
    "LocalJudge",
    "NotAtHand",
    "Offer",
    "PriceCurve",
    "ProxyModel",
    "ProxyTraining",
    "Selection",
    "SourceValue",
    "Substrates",
    "Tracer",
    "Valuer",
    "Values",
    "acquire",
    "coalitions",
    "leave_one_out",
    "select",
    "shapley",
]
