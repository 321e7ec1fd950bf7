"""What a study has at hand for valuation: its seed model as the proxy, and a training that starts from it."""

from dataclasses import replace

from cuvee.hashing import digest
from cuvee.mixture.mixture import Mixture
from cuvee.models.checkpoint import Checkpoint
from cuvee.study.pooling import planned_seed
from cuvee.study.producers.trained import Trainings
from cuvee.study.runner import Runner
from cuvee.training.recipe import ADAMW
from cuvee.training.run import start_of
from cuvee.training.state import TrainingState
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.embeddings import Embedder, ProxyStates
from cuvee.valuation.judge import LanguageJudge
from cuvee.valuation.kept_rows import KeptRows
from cuvee.valuation.proxy_model import ProxyModel
from cuvee.valuation.proxy_training import ProxyTraining
from cuvee.valuation.substrates import Substrates


def at_hand(
    runner: Runner, pool: DocumentTable, judge: LanguageJudge | None = None, encoder: Embedder | None = None
) -> Substrates:
    """The substrates of a study; its seed model is trained where it is not there yet.

    Derivatives are taken of the model in float32 on the processor and not compiled, whatever it is trained
    in.
    """
    plan = runner.plan
    if seed := planned_seed(plan):
        runner.make(Trainings(plan, "training the seed model"), seed)
    spec = replace(plan.model, dtype="float32", compiled=False, device="cpu")
    model = spec.build()
    flat = Checkpoint.load(plan.start.folder).read_flat(model)
    run = plan.reference(Mixture.uniform(plan.config.pool_sources))
    state, recipe = start_of(replace(run, model=spec), model), replace(run.recipe, dtype="float32", stacked=0)
    if recipe.optimizer != ADAMW:  # the metric of values is Adam's, of which others know nothing
        state, recipe = TrainingState.fresh(flat), replace(recipe, optimizer=ADAMW)
    moments = state.second_moment / (1.0 - recipe.beta2**state.updates) if state.updates else None
    proxy = ProxyModel(model, flat, moments, recipe.epsilon)
    return Substrates(
        proxy=proxy,
        encoder=encoder or ProxyStates.fitted(proxy, pool),
        training=ProxyTraining(model, state, digest([plan.start.key, state.updates]), recipe),
        judge=judge,
        kept=KeptRows(plan.folder.valuation / "rows"),
        progress=runner.progress,
    )
