"""The decision of `cuvee run` as compact Markdown, for a pull request or a notebook.

GitHub's dialect: tables by pipes, no HTML. What comes from a study is escaped, so that a source named
``a|b`` or ``<script>`` is shown as it is called.
"""

import re
from collections.abc import Iterable, Sequence

from cuvee.decisions.ablation.result import TARGET, Loss
from cuvee.decisions.difference import DIRECTION, HEAD
from cuvee.invisible import all_spelt_out
from cuvee.quantities import counted
from cuvee.report import wording
from cuvee.report.view import HeatMap, LossRow, StudyView

_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")


def render_markdown(view: StudyView) -> str:
    """The decision as text. The same view gives the same bytes."""
    decision = view.decision
    headline = decision.headline or (view.title,)
    blocks = [
        f"# {escape(headline[0])}",
        f"**{escape(view.badge.words)}.** {escape(view.badge.why)}".strip(),
        _list(headline[1:]),
        _section("The mixture", _mixture(view)),
        _section("Checked by training", _check(view)),
        _section("Predicted losses (nats per token)", _losses(view)),
        _section("What losses are measured on", _evaluations(view)),
        _section("What each source does to the target", _effects(view)),
        _section("Where the proxies have their optimum", *_optima(view)),
        _section("Honesty", _belief(view), _honesty(view), _calibrators(view)),
        _section("Does the order survive?", *_order(view)),
        _section("Downstream tasks", *_tasks(view)),
        _section("Mixtures tied with the pick", _tied(view)),
        _section("Runs worth making next", _next_runs(view)),
        _section("What it cost", _ledger(view)),
        _section(
            "Warnings",
            _list((*(decision.geometry.warnings if decision.geometry else ()), *decision.warnings)),
        ),
        _section("Provenance", _provenance(view)),
    ]
    return all_spelt_out("\n\n".join(block for block in blocks if block) + "\n")


def escape(text: str) -> str:
    """One line of plain text that Markdown shows literally."""
    flat = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _mixture(view: StudyView) -> str:
    decision = view.decision
    proxy = escape(decision.believed_proxy or "none")
    scale = (
        f"For {wording.quantity(decision.target_scale.parameters)} parameters and "
        f"{wording.quantity(decision.target_scale.tokens)} tokens; proxy: {proxy}; "
        f"{counted(len(decision.references), 'mixture')} really trained."
        + (f" Seed model: {escape(decision.seed_model)}." if decision.seed_model else "")
    )
    rows = [
        (
            escape(row.source),
            wording.percent(row.share),
            wording.interval(row.low, row.high, wording.percent),
            wording.percent(row.uniform),
            wording.percent(row.proportional),
            wording.epochs(row.epochs) + (" (at its cap)" if row.cap_hit else ""),
            wording.quantity(row.unique_tokens),
        )
        for row in view.mixture
    ]
    heads = ("source", "share", "interval", *decision.compared.labels, "epochs", "unique tokens")
    parts = (scale, _table(heads, rows), *_read(view))
    return "\n\n".join(parts)


def _read(view: StudyView) -> tuple[str, ...]:
    """What trainings read of each source."""
    if view.read is None:
        return ()
    rows = [
        (escape(one.source), *map(wording.finely, (one.asked, one.realised, one.difference)), one.training)
        for one in view.read.sources
    ]
    heads = ("source", "asked for", "read", "largest difference", "in training")
    return f"What trainings read: {view.read.statement}.", _table(heads, rows)


def _check(view: StudyView) -> str:
    check = view.decision.check
    if check is None:
        return ""
    predicted = {gain.baseline: gain for gain in view.decision.gains}
    rows = []
    for one in check.comparisons:
        gain = predicted.get(one.baseline)
        rows.append(
            (
                one.baseline,
                wording.gap(one.difference),
                wording.interval(one.low, one.high, wording.gap),
                wording.gap(gain.difference) if gain else wording.MISSING,
                wording.interval(gain.low, gain.high, wording.gap) if gain else "",
                wording.worth(one),
            )
        )
    note = (
        f"{counted(len(check.arms), 'mixture')}, {check.trained} on "
        f"{' to '.join(map(wording.quantity, check.lengths))} tokens, measured {check.measured_on}; "
        + wording.noise(check.noise)
        + (f" These trainings took {wording.flops(check.flops)} FLOPs." if check.flops == check.flops else "")
        + f" {DIRECTION.capitalize()}."
    )
    heads = ("baseline", f"{HEAD}, measured", "interval", "predicted", "interval", "worth in tokens")
    return "\n\n".join(part for part in (note, _table(heads, rows)) if part)


def _evaluations(view: StudyView) -> str:
    rows = [
        (
            escape(row.evaluation),
            wording.percent(row.weight),
            f"{row.documents} ({wording.quantity(row.tokens)} tokens)",
            f"{row.checking_documents} ({wording.quantity(row.checking_tokens)} tokens)",
        )
        for row in view.decision.evaluations
    ]
    return _table(("evaluation", "weight", "documents to choose by", "documents to check with"), rows)


def _losses(view: StudyView) -> str:
    rows = [_loss_row(row) for row in view.losses]
    labels = view.decision.compared.labels
    heads = ("evaluation", "pick", "interval", *labels, "best trained", "bits per byte")
    return _table(heads, rows)


def _loss_row(row: LossRow) -> tuple[str, ...]:
    p = row.prediction
    name = escape(row.label) + (" (in pool)" if row.group == "in pool" else "")
    losses: Iterable[Loss] = (p.uniform, p.proportional, p.best_reference)
    return (
        f"**{name}**" if row.group == "target" else name,
        wording.number(p.pick.mean),
        wording.interval(p.pick.low, p.pick.high),
        *(wording.number(loss.mean) for loss in losses),
        wording.number(p.pick.bits_per_byte),
    )


def _effects(view: StudyView) -> str:
    """The target's column of each ablation; effects that may be zero stand in parentheses."""
    maps = [heat for heat in view.ablation if TARGET in heat.columns]
    if not maps:
        return ""
    rows = [
        (escape(source), *(_effect(heat, place) for heat in maps))
        for place, source in enumerate(view.sources)
    ]
    note = (
        "Change of loss in nats per token, negative is better; in parentheses where the interval holds zero."
    )
    note += "" if view.decision.trust.believed else f" {wording.UNBELIEVED}"
    return note + "\n\n" + _table(("source", *(heat.title.lower() for heat in maps)), rows)


def _effect(heat: HeatMap, place: int) -> str:
    cell = heat.cells[place][heat.columns.index(TARGET)]
    if cell is None:
        return wording.MISSING
    text = wording.signed(cell.value, 4)
    return f"({text})" if cell.muted else text


def _optima(view: StudyView) -> tuple[str, ...]:
    decision = view.decision
    if not decision.optima:
        return ()
    sources = [escape(source) for source in decision.sources]
    rows = [
        (
            escape(row.proxy),
            wording.main_shares(sources, row.shares, 8),
            wording.number(row.loss, 4),
            wording.number(row.pick_loss, 4),
            wording.percent(row.distance),
            wording.number(row.gap, 4),
        )
        for row in decision.optima
    ]
    heads = (
        "proxy",
        "main shares",
        "loss there",
        "loss of the pick",
        "differs from the pick",
        "gap",
    )
    note = (
        f"Within the limits, before calibration. {wording.GAP} Method of merging: {escape(decision.merging)}."
    )
    return (
        note,
        _table(heads, rows, left=2),
        *(escape(wording.descents(row)) for row in decision.optima if row.ends),
    )


def _belief(view: StudyView) -> str:
    trust = view.decision.trust
    return f"{trust.words}. {escape(trust.why)}" if trust.why else ""


def _honesty(view: StudyView) -> str:
    rows = [
        (
            escape(row.proxy) + (" (baseline)" if row.is_baseline else ""),
            escape(row.scope),
            escape(row.subset),
            str(row.n),
            wording.correlation(row.pearson),
            wording.interval(row.pearson_low, row.pearson_high, wording.correlation),
            wording.correlation(row.spearman),
            wording.correlation(row.pairwise),
            wording.correlation(row.partial),
            wording.number(row.regret, 4),
            wording.percent(row.beats_baselines),
            wording.correlation(row.ceiling),
            wording.interval(row.ceiling_low, row.ceiling_high, wording.correlation),
        )
        for row in view.honesty
    ]
    heads = (
        "proxy",
        "on",
        "references",
        "n",
        "Pearson",
        "interval",
        "Spearman",
        "pairwise",
        "partial",
        "regret",
        "correlates better than baselines",
        "ceiling",
        "interval",
    )
    return _table(heads, rows, left=3)


def _calibrators(view: StudyView) -> str:
    rows = [
        (
            escape(row.calibrator) + (" (chosen)" if row.chosen else ""),
            wording.number(row.loo_rmse, 4),
            wording.correlation(row.loo_spearman),
        )
        for row in view.decision.calibrators
    ]
    return _table(("calibrator", "error on the target", "Spearman"), rows)


def _tasks(view: StudyView) -> tuple[str, ...]:
    found = view.decision.tasks
    if not found:
        return ()
    rows = [
        (
            escape(row.task),
            f"{escape(row.metric)} ({row.better})",
            str(row.questions),
            *(wording.measured(value) for _, value in row.values),
            wording.measured(row.error),
            wording.number(row.signal),
            wording.number(row.noise),
            wording.correlation(row.ratio),
            row.words,
            wording.correlation(row.merges),
            wording.correlation(row.ensembles),
        )
        for row in found
    ]
    arms = (name for name, _ in found[0].values)
    heads = ("task", "metric", "questions", *arms, "standard error", "signal", "noise", "ratio")
    return wording.TASKS, _table((*heads, "between mixtures", "merges", "ensembles"), rows, left=2)


def _order(view: StudyView) -> tuple[str, ...]:
    order = view.decision.order
    if order is None:
        return ()
    rows = [
        (
            escape(row.setting),
            row.survival,
            f"{row.differing} of {row.pairs}",
            str(row.kept),
            wording.interval(row.kept_low, row.kept_high, wording.percent),
            wording.correlation(row.spearman),
            wording.interval(row.spearman_low, row.spearman_high, wording.correlation),
            wording.correlation(order.ceiling),
        )
        for row in order.rows
    ]
    heads = (
        "trained again with",
        "the order",
        "pairs that differ",
        "keep their order",
        "interval",
        "rank correlation",
        "interval",
        "ceiling",
    )
    return escape(order.statement), escape(wording.ordered(order)), _table(heads, rows, left=2)


def _tied(view: StudyView) -> str:
    sources = [escape(source) for source in view.decision.sources]
    rows = [
        (
            escape(row.name),
            wording.main_shares(sources, row.shares),
            wording.gap(-row.gap),
            wording.interval(-row.high, -row.low, wording.gap),
        )
        for row in view.decision.tied
    ]
    if not rows:
        return ""
    heads = ("mixture", "main shares", f"{HEAD}, predicted", "interval")
    return f"{DIRECTION.capitalize()}.\n\n" + _table(heads, rows, left=2)


def _next_runs(view: StudyView) -> str:
    sources = [escape(source) for source in view.decision.sources]
    lines = [
        f"- **{escape(run.name)}**: {escape(run.why)} ({wording.main_shares(sources, run.shares)})"
        for run in view.decision.next_runs
    ]
    return "\n".join(lines)


def _ledger(view: StudyView) -> str:
    decision = view.decision
    rows = [
        (
            escape(row.stage),
            escape(row.kind),
            str(row.count),
            wording.flops(row.flops),
            wording.duration(row.seconds),
            *([escape(view.costs.cost(row))] if view.costs.priced else []),
        )
        for row in decision.ledger
    ]
    ratios = [
        f"Proxies cost {wording.ratio(value)} of training directly: {escape(what)}."
        for what, value in decision.proxy_over_direct.items()
    ]
    heads = ["stage", "kind", "count", "FLOPs", view.costs.time_head]
    table = _table([*heads, "cost"] if view.costs.priced else heads, rows, left=2)
    return "\n\n".join(part for part in (*ratios, table, escape(view.costs.total)) if part)


def _provenance(view: StudyView) -> str:
    made = view.decision.created_from
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", made.command)), default=0))
    versions = ", ".join(f"{escape(name)} {escape(version)}" for name, version in made.versions.items())
    digests = (
        f"configuration {escape(made.config)}, sources {escape(made.sources)}, recipe {escape(made.recipe)}"
    )
    return f"{fence}\n{made.command}\n{fence}\n\nDigests: {digests}. Versions: {versions}."


def _section(title: str, *parts: str) -> str:
    body = [part for part in parts if part]
    return "\n\n".join([f"## {title}", *body]) if body else ""


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {escape(sentence)}" for sentence in sentences)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    if not rows:
        return ""
    rule = ["---" if place < left else "---:" for place in range(len(heads))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, rule, *rows))
