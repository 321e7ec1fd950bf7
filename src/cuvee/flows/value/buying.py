"""What to buy from which seller for a target of a study, from the samples that sellers show."""

from dataclasses import dataclass
from pathlib import Path

from cuvee.decisions.document import encode
from cuvee.errors import ConfigError
from cuvee.execution.interface import Executor
from cuvee.progress import Progress
from cuvee.quantities import agreeing, counted
from cuvee.sources.tokenizer import load_tokenizer
from cuvee.study.at_hand import at_hand
from cuvee.study.document_tables import check_target, copies_of_evaluation, target_documents
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.plan.material import Material
from cuvee.study.seed_moments import check_valuers
from cuvee.types import Json
from cuvee.valuation.embeddings import Embedder
from cuvee.valuation.judge import LanguageJudge
from cuvee.valuation.methods.registry import valuer_named
from cuvee.valuation.offer import Offer, samples_of
from cuvee.valuation.offer_file import read_offers
from cuvee.valuation.offers import Market, Purchases


@dataclass(frozen=True)
class Buying:
    """What was found: our purchases, and beside them what simple rules would buy.

    Nothing was trained on any of it: utilities are what values of samples say.
    """

    target: str
    purchases: Purchases
    baselines: tuple[Purchases, ...]
    """Greedy by size, by price, and at random."""

    def as_json(self) -> Json:
        """Plain JSON."""
        return encode(self)


def buy(
    config: StudyConfig,
    folder: StudyFolder,
    offers_file: Path,
    target: str,
    method: str,
    budget: float,
    progress: Progress | None = None,
    executor: Executor | None = None,
    judge: LanguageJudge | None = None,
    encoder: Embedder | None = None,
) -> Buying:
    """Value what sellers show for a target, and spend a budget on it.

    Args:
        config: of the study.
        folder: of the study.
        offers_file: see ``cuvee.valuation.offer_file``.
        target: an evaluation of the study.
        method: a row of ``VALUERS``.
        budget: in the unit of the prices.
        progress: listens.
        executor: where the seed model is trained if it is missing.
        judge: a language model, for the methods that ask one.
        encoder: embeds documents; default the study's own proxy.

    Raises:
        ConfigError: the study has no target run, or offers that make no sense.
        NotAtHand: the method needs something that is missing.
    """
    if config.target_run.tokens is None:
        raise ConfigError(
            "acquire: target_run.tokens is missing in the study file: how much of a purchase a run can read "
            "decides what it is worth"
        )
    check_target(config, target)
    check_valuers(config, [method])
    valuer = valuer_named(method)
    with opened(config, folder, progress, executor) as runner:
        material = runner.plan.material
        offers = read_offers(offers_file, load_tokenizer(material.tokenizer_folder))
        wanted = target_documents(material, target)
        for offer in offers:
            _say_copies(offer, material, target, runner.progress)
        substrates = at_hand(runner, samples_of(offers), judge, encoder)
        market = Market.of(
            offers, wanted, budget, float(config.target_run.tokens), valuer, substrates, config.seed
        )
        return Buying(
            target, market.best(), (market.by_size(), market.by_price(), market.at_random(config.seed))
        )


def _say_copies(offer: Offer, material: Material, target: str, progress: Progress) -> None:
    if copies := int(copies_of_evaluation(offer.sample, material, target).sum()):
        progress.message(
            f"seller '{offer.seller}': {copies} of {counted(len(offer.sample), 'document')} of its sample "
            f"{agreeing(copies, 'stands', 'stand')} in "
            f"evaluation '{target}', where training leaves them out: its worth is too high; ask for others"
        )
