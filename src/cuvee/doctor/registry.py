"""The table of checks. A new check is a function in a file beside this one and a row here."""

from cuvee.doctor import files, joins, metrics, region, runs, sources, units
from cuvee.doctor.check import Fault

CHECKS: tuple[Fault, ...] = (
    # Files as written
    Fault("unreadable", "The files cannot be read", files.unreadable, False),
    Fault("unreadable_cells", "Text or infinities among numbers", files.unreadable_cells, False),
    Fault("negative_shares", "Negative shares", files.negative_shares, False),
    Fault("shares_in_percent", "Shares in percent", files.shares_in_percent, False),
    Fault("sums_of_shares", "Shares that do not sum to one", files.sums_of_shares, False, serious=True),
    Fault("renormalised", "Shares that were divided by their sum", files.renormalised, False),
    Fault("numbered_sources", "Sources known by a number alone", files.numbered_sources),
    Fault("columns_as_labels", "Columns that were not understood", files.columns_as_labels),
    Fault("notes_of_the_reader", "What was mended or left out in reading", files.notes_of_the_reader, False),
    # How files are joined
    Fault("unmatched_runs", "Runs whose names do not join", joins.unmatched_runs, False, serious=True),
    Fault("other_order", "Files in different orders", joins.other_order, False),
    Fault("joined_by_number", "Files joined by a running number", joins.joined_by_number, False),
    Fault("unnamed_runs", "Runs without a name", joins.unnamed_runs, False),
    Fault(
        "conflicting_directions",
        "Files that disagree what is better",
        joins.conflicting_directions,
        False,
        serious=True,
    ),
    Fault("stale_answer", "An answer made from other numbers", joins.stale_answer),
    # Runs
    Fault("one_run", "Too few runs for any law", runs.one_run),
    Fault("all_equal", "All runs have one mixture", runs.all_equal),
    Fault(
        "fewer_runs_than_sources", "Fewer mixtures than sources", runs.fewer_runs_than_sources, serious=True
    ),
    Fault("fewer_runs_than_parameters", "Fewer runs than parameters", runs.fewer_runs_than_parameters),
    Fault("few_for_held_out", "Too few runs to judge laws", runs.few_for_held_out, serious=True),
    Fault("few_complete_runs", "Few runs with all metrics", runs.few_complete_runs, serious=True),
    Fault("duplicates", "Rows that repeat another row", runs.duplicates, serious=True),
    Fault("replicates", "Repeated runs, which measure the noise", runs.replicates),
    Fault("within_noise", "Metrics that vary no more than noise", runs.within_noise, serious=True),
    Fault("several_scales", "Several scales in one table", runs.several_scales, serious=True),
    Fault("tiny_counts", "Parameters or tokens in millions or billions", runs.tiny_counts, serious=True),
    Fault("evaluation_points", "One run at several steps", runs.evaluation_points),
    Fault("several_tokenizers", "Several tokenizers", runs.several_tokenizers, serious=True),
    Fault("differing_settings", "Settings that differ", runs.differing_settings, serious=True),
    Fault("several_splits", "Rows for fitting and for testing", runs.several_splits),
    Fault("mixed_estimands", "Rows that stand for different things", runs.mixed_estimands, serious=True),
    # Sources
    Fault("unused_sources", "Sources that no run has", sources.unused_sources, serious=True),
    Fault("fixed_sources", "Sources whose share never changes", sources.fixed_sources, serious=True),
    Fault("sources_in_step", "Sources that always move together", sources.sources_in_step, serious=True),
    Fault("collinear_sources", "Sources tied by an equation", sources.collinear_sources, serious=True),
    Fault("one_hot_runs", "Runs on single sources only", sources.one_hot_runs, serious=True),
    Fault("never_left_out", "Sources that every run has", sources.never_left_out),
    Fault("rarely_used", "Sources that hardly any run has", sources.rarely_used, serious=True),
    Fault("barely_seen", "Sources that no run has much of", sources.barely_seen),
    # Metrics
    Fault("never_measured", "Metrics without a value", metrics.never_measured, serious=True),
    Fault("constant_metrics", "Constant metrics", metrics.constant_metrics, serious=True),
    Fault("missing_values", "Metrics that not all runs have", metrics.missing_values),
    Fault("diverged_runs", "Runs that diverged", metrics.diverged_runs, serious=True),
    Fault("outlying_values", "Values far from all others", metrics.outlying_values, serious=True),
    Fault(
        "unexplained_metrics",
        "Metrics without relation to the shares",
        metrics.unexplained_metrics,
        serious=True,
    ),
    Fault("copied_metrics", "Two metrics with the same values", metrics.copied_metrics, serious=True),
    Fault("metrics_like_shares", "Shares among the metrics", metrics.metrics_like_shares, serious=True),
    Fault("metrics_like_ids", "Counters among the metrics", metrics.metrics_like_ids, serious=True),
    Fault("training_losses", "Losses on training text", metrics.training_losses, serious=True),
    Fault("left_out_of_target", "Metrics left out of the target", metrics.left_out_of_target, serious=True),
    Fault("no_metric_left", "No metric for the target", metrics.no_metric_left),
    Fault("own_domain", "Metrics on text of a source", metrics.own_domain),
    # Directions and units
    Fault("said_of_unknown_metrics", "A direction of no metric", units.said_of_unknown_metrics),
    Fault("unknown_directions", "Metrics of unknown direction", units.unknown_directions, serious=True),
    Fault("contradicted_names", "Directions against the name", units.contradicted_names, serious=True),
    Fault("contradicted_by_data", "Directions against the data", units.contradicted_by_data, serious=True),
    Fault("assumed_losses", "Metrics taken for losses", units.assumed_losses, serious=True),
    Fault(
        "mixed_directions", "Metrics to lower beside metrics to raise", units.mixed_directions, serious=True
    ),
    Fault("wide_metrics", "Two units in one metric", units.wide_metrics, serious=True),
    Fault(
        "perplexities_beside_losses",
        "Perplexities beside losses",
        units.perplexities_beside_losses,
        serious=True,
    ),
    Fault("bits_beside_nats", "Bits beside nats", units.bits_beside_nats, serious=True),
    Fault(
        "percent_beside_fractions",
        "Percentages beside fractions",
        units.percent_beside_fractions,
        serious=True,
    ),
    Fault("impossible_values", "Values that the name rules out", units.impossible_values, serious=True),
    Fault("dominant_metric", "One metric decides the target", units.dominant_metric, serious=True),
    # What is asked
    Fault("unknown_sources", "Bounds of sources that are not there", region.unknown_sources),
    Fault("bounds_in_percent", "Bounds that are no shares", region.bounds_in_percent),
    Fault("missing_token_counts", "Sources without a token count", region.missing_token_counts, serious=True),
    Fault("infeasible_region", "Conditions that no mixture meets", region.infeasible_region),
    Fault("far_region", "Bounds within which no run lies", region.far_region, serious=True),
    Fault("repetition", "Many epochs without a cap", region.repetition, serious=True),
    Fault("unrepeated_runs", "Repetition that no run has seen", region.unrepeated_runs),
)
