"""The table of checks. A new check is a function in a file beside this one and a row here."""

from cuvee.doctor import files, joins, metrics, region, runs, sources, units
from cuvee.doctor.check import Check

CHECKS: tuple[Check, ...] = (
    # Files as written
    Check("unreadable", "The files cannot be read", files.unreadable, False),
    Check("unreadable_cells", "Text or infinities among numbers", files.unreadable_cells, False),
    Check("negative_shares", "Negative shares", files.negative_shares, False),
    Check("shares_in_percent", "Shares in percent", files.shares_in_percent, False),
    Check("sums_of_shares", "Shares that do not sum to one", files.sums_of_shares, False, serious=True),
    Check("renormalised", "Shares that were divided by their sum", files.renormalised, False),
    Check("numbered_sources", "Sources known by a number alone", files.numbered_sources),
    Check("columns_as_labels", "Columns that were not understood", files.columns_as_labels),
    Check("notes_of_the_reader", "What was mended or left out in reading", files.notes_of_the_reader, False),
    # How files are joined
    Check("unmatched_runs", "Runs whose names do not join", joins.unmatched_runs, False, serious=True),
    Check("other_order", "Files in different orders", joins.other_order, False),
    Check("joined_by_number", "Files joined by a running number", joins.joined_by_number, False),
    Check("unnamed_runs", "Runs without a name", joins.unnamed_runs, False),
    Check(
        "conflicting_directions",
        "Files that disagree what is better",
        joins.conflicting_directions,
        False,
        serious=True,
    ),
    Check("stale_answer", "An answer made from other numbers", joins.stale_answer),
    # Runs
    Check("one_run", "Too few runs for any law", runs.one_run),
    Check("all_equal", "All runs have one mixture", runs.all_equal),
    Check(
        "fewer_runs_than_sources", "Fewer mixtures than sources", runs.fewer_runs_than_sources, serious=True
    ),
    Check("fewer_runs_than_parameters", "Fewer runs than parameters", runs.fewer_runs_than_parameters),
    Check("few_for_held_out", "Too few runs to judge laws", runs.few_for_held_out, serious=True),
    Check("few_complete_runs", "Few runs with all metrics", runs.few_complete_runs, serious=True),
    Check("duplicates", "Rows that repeat another row", runs.duplicates, serious=True),
    Check("replicates", "Repeated runs, which tell the noise", runs.replicates),
    Check("within_noise", "Metrics that vary no more than noise", runs.within_noise, serious=True),
    Check("several_scales", "Several scales in one table", runs.several_scales, serious=True),
    Check("tiny_counts", "Parameters or tokens in millions or billions", runs.tiny_counts, serious=True),
    Check("evaluation_points", "One run at several steps", runs.evaluation_points),
    Check("several_tokenizers", "Several tokenizers", runs.several_tokenizers, serious=True),
    Check("differing_settings", "Settings that differ", runs.differing_settings, serious=True),
    Check("several_splits", "Rows for fitting and for testing", runs.several_splits),
    Check("mixed_estimands", "Rows that stand for different things", runs.mixed_estimands, serious=True),
    # Sources
    Check("unused_sources", "Sources that no run has", sources.unused_sources, serious=True),
    Check("fixed_sources", "Sources whose share never changes", sources.fixed_sources, serious=True),
    Check("sources_in_step", "Sources that always move together", sources.sources_in_step, serious=True),
    Check("collinear_sources", "Sources tied by an equation", sources.collinear_sources, serious=True),
    Check("one_hot_runs", "Runs on single sources only", sources.one_hot_runs, serious=True),
    Check("never_left_out", "Sources that every run has", sources.never_left_out),
    Check("rarely_used", "Sources that hardly any run has", sources.rarely_used, serious=True),
    Check("barely_seen", "Sources that no run has much of", sources.barely_seen),
    # Metrics
    Check("never_measured", "Metrics without a value", metrics.never_measured, serious=True),
    Check("constant_metrics", "Constant metrics", metrics.constant_metrics, serious=True),
    Check("missing_values", "Metrics that not all runs have", metrics.missing_values),
    Check("diverged_runs", "Runs that diverged", metrics.diverged_runs, serious=True),
    Check("outlying_values", "Values far from all others", metrics.outlying_values, serious=True),
    Check(
        "unexplained_metrics",
        "Metrics without relation to the shares",
        metrics.unexplained_metrics,
        serious=True,
    ),
    Check("copied_metrics", "Two metrics with the same values", metrics.copied_metrics, serious=True),
    Check("metrics_like_shares", "Shares among the metrics", metrics.metrics_like_shares, serious=True),
    Check("metrics_like_ids", "Counters among the metrics", metrics.metrics_like_ids, serious=True),
    Check("training_losses", "Losses on training text", metrics.training_losses, serious=True),
    Check("left_out_of_target", "Metrics left out of the target", metrics.left_out_of_target, serious=True),
    Check("no_metric_left", "No metric for the target", metrics.no_metric_left),
    Check("own_domain", "Metrics on text of a source", metrics.own_domain),
    # Directions and units
    Check("said_of_unknown_metrics", "A direction of no metric", units.said_of_unknown_metrics),
    Check("unknown_directions", "Metrics of unknown direction", units.unknown_directions, serious=True),
    Check("contradicted_names", "Directions against the name", units.contradicted_names, serious=True),
    Check("contradicted_by_data", "Directions against the data", units.contradicted_by_data, serious=True),
    Check("assumed_losses", "Metrics taken for losses", units.assumed_losses, serious=True),
    Check(
        "mixed_directions", "Metrics to lower beside metrics to raise", units.mixed_directions, serious=True
    ),
    Check("wide_metrics", "Two units in one metric", units.wide_metrics, serious=True),
    Check(
        "perplexities_beside_losses",
        "Perplexities beside losses",
        units.perplexities_beside_losses,
        serious=True,
    ),
    Check("bits_beside_nats", "Bits beside nats", units.bits_beside_nats, serious=True),
    Check(
        "percent_beside_fractions",
        "Percentages beside fractions",
        units.percent_beside_fractions,
        serious=True,
    ),
    Check("impossible_values", "Values that the name rules out", units.impossible_values, serious=True),
    Check("dominant_metric", "One metric decides the target", units.dominant_metric, serious=True),
    # What is asked
    Check("unknown_sources", "Bounds of sources that are not there", region.unknown_sources),
    Check("bounds_in_percent", "Bounds that are no shares", region.bounds_in_percent),
    Check("missing_token_counts", "Sources without a token count", region.missing_token_counts, serious=True),
    Check("infeasible_region", "Conditions that no mixture meets", region.infeasible_region),
    Check("far_region", "Bounds within which no run lies", region.far_region, serious=True),
    Check("repetition", "Many epochs without a cap", region.repetition, serious=True),
    Check("unrepeated_runs", "Repetition that no run has seen", region.unrepeated_runs),
)
