"""What to buy: offers of which a tenth is shown, bought under a budget, trained on and measured.

Sixteen sellers: each of eight domains as it is, and with noise in every document. Prices are drawn by a seed,
so that neither cheap nor large offers are the good ones. Whatever is bought is trained on for the same number
of tokens, from scratch, with three seeds, and measured on the target.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.harness import Cell, Table
from benchmarks.valuation_selection import DOMAINS, SEEDS, divided, noisy, prepared
from cuvee.hashing import digest_bytes
from cuvee.honesty.trainings import difference, pooled_noise
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.runs.roles import SELECTED
from cuvee.sources.shards import TokenShard, copy_documents
from cuvee.sources.tokenizer import Tokenizer
from cuvee.study.at_hand import at_hand
from cuvee.study.document_tables import target_documents
from cuvee.study.file.config import StudyConfig
from cuvee.study.opening import opened
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.trained import Trainings
from cuvee.study.runner import Runner
from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.methods.registry import valuer_named
from cuvee.valuation.offer import Offer, PriceCurve, samples_of
from cuvee.valuation.offers import Market, Purchases

TARGET = "wanted"
SHOWN = 0.1
CHARACTERS = 400_000
"""Of an offer."""
RUN_TOKENS = 400_000
BUDGET = 0.15
"""Of the price of everything."""
METHODS = ("dsir", "forward_inf", "gotd")
ACQUIRE_SEEDS = 4_000_000


@dataclass(frozen=True, eq=False)
class Seller:
    """All that a seller has, and what is shown of it."""

    name: str
    text: DocumentTable
    offer: Offer


def sellers(tokenizer: Tokenizer) -> list[Seller]:
    """The market, the same in every run."""
    rng = np.random.default_rng(5)
    found = []
    for domain in DOMAINS:
        texts = _of_size(divided(domain)[1], CHARACTERS)
        for kind in ("clean", "noisy"):
            own = [noisy(one, rng) for one in texts] if kind == "noisy" else list(texts)
            table = DocumentTable.of_texts(own, tokenizer)
            shown = table.select(np.arange(max(2, round(SHOWN * len(table)))))
            price = float(np.exp(rng.normal(0.0, 0.5)))
            size = float(table.size)
            offer = Offer(f"{domain}, {kind}", shown, size, PriceCurve.linear(size, price))
            found.append(Seller(offer.seller, table, offer))
    return found


def _of_size(texts: Sequence[str], characters: int) -> list[str]:
    ends = np.cumsum([len(one) for one in texts])
    return list(texts[: int(np.searchsorted(ends, characters)) + 1])


def acquire_table(progress: Progress) -> Table:
    """Loss after training on what each rule bought."""
    folder = prepared()
    with opened(StudyConfig.load(folder.root), folder, progress) as runner:
        tokenizer = target_documents(runner.plan.material, TARGET).tokenizer
        market = sellers(tokenizer)
        bought = _bought(runner, market)
        losses = _trained(runner, market, bought)
    return _table(bought, losses)


def _bought(runner: Runner, market: Sequence[Seller]) -> dict[str, Purchases]:
    offers = [one.offer for one in market]
    price = sum(float(one.prices.price(np.array([one.tokens]))[0]) for one in offers)
    target = target_documents(runner.plan.material, TARGET)
    substrates = at_hand(runner, samples_of(offers))
    found: dict[str, Purchases] = {}
    for name in METHODS:
        stalls = Market.of(
            offers, target, BUDGET * price, float(RUN_TOKENS), valuer_named(name), substrates, 0
        )
        found[f"acquire, by {name}"] = stalls.best()
    found |= {"by size": stalls.by_size(), "by price": stalls.by_price()}
    return found | {f"at random, {seed}": stalls.at_random(seed) for seed in range(SEEDS)}


def _trained(
    runner: Runner, market: Sequence[Seller], bought: Mapping[str, Purchases]
) -> dict[str, FloatArray]:
    """Target losses [seeds] by rule."""
    runner = replace(runner, plan=runner.plan.checking)
    trainings = Trainings(runner.plan, "training on what was bought")
    planned = {
        name: [_planned(runner, market, one, seed) for seed in range(SEEDS)] for name, one in bought.items()
    }
    runner.make(trainings, [one for row in planned.values() for one in row])
    target = runner.documents.target({TARGET: 1.0})
    return {name: runner.scores(trainings, row).nats_per_token @ target for name, row in planned.items()}


def _planned(runner: Runner, market: Sequence[Seller], bought: Purchases, seed: int) -> Planned:
    plan = runner.plan
    shard = _shard(runner, market, bought)
    somewhere = Mixture.uniform(plan.config.pool_sources)
    run = plan.alone(somewhere, plan.model, RUN_TOKENS, RUN_TOKENS, ACQUIRE_SEEDS + seed)
    run = replace(
        run,
        mixture=Mixture.vertex((SELECTED,), SELECTED),
        shards={SELECTED: (shard.folder,)},
        content={SELECTED: (shard.content_hash,)},
        fractions={},
    )
    return Planned(run, SELECTED, somewhere)


def _shard(runner: Runner, market: Sequence[Seller], bought: Purchases) -> TokenShard:
    """The first documents of each seller, as many tokens as were bought."""
    documents = []
    for seller, one in zip(market, bought.rows, strict=True):
        ends = np.cumsum(seller.text.length)
        count = int(np.searchsorted(ends, one.tokens, side="right"))
        documents += [(seller.text.document(row), len(seller.text.text(row))) for row in range(count)]
    tokens = np.concatenate([one for one, _ in documents])
    folder = runner.plan.folder.valuation / "shards" / digest_bytes(tokens.tobytes())
    return copy_documents(folder, documents, market[0].text.tokenizer, source=SELECTED, part="unit-0")


def _table(bought: Mapping[str, Purchases], losses: Mapping[str, FloatArray]) -> Table:
    names = list(bought)
    layout = np.stack([losses[name] for name in names])
    noise = pooled_noise([layout])
    base = names.index("at random, 0")
    rows: list[tuple[Cell, ...]] = []
    for place in np.argsort(layout.mean(axis=1)):
        name = names[int(place)]
        one = bought[name]
        found = difference(layout, (int(place), base), noise, 0.0, 0.0, 0.95) if place != base else None
        most = sorted(one.rows, key=lambda row: -row.tokens)[:3]
        rows.append(
            (
                name,
                round(float(layout[place].mean()), 4),
                f"{found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f})" if found else None,
                one.tokens,
                f"{one.price / one.budget:.0%}",
                ", ".join(f"{row.seller} {row.tokens / max(1, one.tokens):.0%}" for row in most),
            )
        )
    return Table(
        "What was bought, trained on",
        (
            "rule",
            "loss on the target",
            "to the first random purchase",
            "tokens bought",
            "of the budget",
            "most of",
        ),
        tuple(rows),
        (
            f"{len(DOMAINS) * 2} sellers, a tenth of each shown, {BUDGET:.0%} of the price of everything to "
            f"spend; {RUN_TOKENS:,} tokens trained on each purchase, {SEEDS} seeds. The intervals hold the "
            "noise of trainings, not of documents.",
        ),
    )
