"""The table of checks (floor 7). A new check is a function in a file beside this one and a row here."""

from cuvee.study.doctor import files, joins, metrics, region, runs, sources, units
from cuvee.study.doctor.check import Check

CHECKS: tuple[Check, ...] = (
    # Files as written
    Check("unreadable", "The files cannot be read", files.unreadable, False),
    Check("unreadable_cells", "Text or infinities among numbers", files.unreadable_cells, False),
    Check("negative_shares", "Negative shares", files.negative_shares, False),
    Check("shares_in_percent", "Shares in percent", files.shares_in_percent, False),
    Check("sums_of_shares", "Shares that do not sum to one", files.sums_of_shares, False),
    Check("renormalised", "Shares that were divided by their sum", files.renormalised, False),
    Check("numbered_sources", "Sources known by a number alone", files.numbered_sources),
    Check("columns_as_labels", "Columns that were not understood", files.columns_as_labels),
    Check("notes_of_the_reader", "What was mended or left out in reading", files.notes_of_the_reader, False),
    # How files are joined
    Check("unmatched_runs", "Runs whose names do not join", joins.unmatched_runs, False),
    Check("other_order", "Files in different orders", joins.other_order, False),
    Check("joined_by_number", "Files joined by a running number", joins.joined_by_number, False),
    Check("unnamed_runs", "Runs without a name", joins.unnamed_runs, False),
    Check(
        "conflicting_directions", "Files that disagree what is better", joins.conflicting_directions, False
    ),
    Check("stale_answer", "An answer made from other numbers", joins.stale_answer),
    # Runs
    Check("one_run", "Too few runs for any law", runs.one_run),
    Check("all_equal", "All runs have one mixture", runs.all_equal),
    Check("fewer_runs_than_sources", "Fewer mixtures than sources", runs.fewer_runs_than_sources),
    Check("fewer_runs_than_parameters", "Fewer runs than parameters", runs.fewer_runs_than_parameters),
    Check("few_for_held_out", "Too few runs to judge laws", runs.few_for_held_out),
    Check("few_complete_runs", "Few runs with all metrics", runs.few_complete_runs),
    Check("duplicates", "Rows that repeat another row", runs.duplicates),
    Check("replicates", "Repeated runs, which tell the noise", runs.replicates),
    Check("within_noise", "Metrics that vary no more than noise", runs.within_noise),
    Check("several_scales", "Several scales in one table", runs.several_scales),
    Check("evaluation_points", "One run at several steps", runs.evaluation_points),
    Check("several_tokenizers", "Several tokenizers", runs.several_tokenizers),
    Check("several_splits", "Rows for fitting and for testing", runs.several_splits),
    Check("mixed_estimands", "Rows that stand for different things", runs.mixed_estimands),
    # Sources
    Check("unused_sources", "Sources that no run has", sources.unused_sources),
    Check("fixed_sources", "Sources whose share never changes", sources.fixed_sources),
    Check("sources_in_step", "Sources that always move together", sources.sources_in_step),
    Check("collinear_sources", "Sources tied by an equation", sources.collinear_sources),
    Check("one_hot_runs", "Runs on single sources only", sources.one_hot_runs),
    Check("never_left_out", "Sources that every run has", sources.never_left_out),
    Check("rarely_used", "Sources that hardly any run has", sources.rarely_used),
    Check("barely_seen", "Sources that no run has much of", sources.barely_seen),
    # Metrics
    Check("never_measured", "Metrics without a value", metrics.never_measured),
    Check("constant_metrics", "Constant metrics", metrics.constant_metrics),
    Check("missing_values", "Metrics that not all runs have", metrics.missing_values),
    Check("diverged_runs", "Runs that diverged", metrics.diverged_runs),
    Check("outlying_values", "Values far from all others", metrics.outlying_values),
    Check("unexplained_metrics", "Metrics without relation to the shares", metrics.unexplained_metrics),
    Check("copied_metrics", "Two metrics with the same values", metrics.copied_metrics),
    Check("metrics_like_shares", "Shares among the metrics", metrics.metrics_like_shares),
    Check("metrics_like_ids", "Counters among the metrics", metrics.metrics_like_ids),
    Check("own_domain", "Metrics on text of a source", metrics.own_domain),
    # Directions and units
    Check("said_of_unknown_metrics", "A direction of no metric", units.said_of_unknown_metrics),
    Check("unknown_directions", "Metrics of unknown direction", units.unknown_directions),
    Check("contradicted_names", "Directions against the name", units.contradicted_names),
    Check("contradicted_by_data", "Directions against the data", units.contradicted_by_data),
    Check("assumed_losses", "Benchmarks taken for losses", units.assumed_losses),
    Check("mixed_directions", "Metrics to lower beside metrics to raise", units.mixed_directions),
    Check("wide_metrics", "Two units in one metric", units.wide_metrics),
    Check("perplexities_beside_losses", "Perplexities beside losses", units.perplexities_beside_losses),
    Check("bits_beside_nats", "Bits beside nats", units.bits_beside_nats),
    Check("percent_beside_fractions", "Percentages beside fractions", units.percent_beside_fractions),
    Check("impossible_values", "Values that the name rules out", units.impossible_values),
    Check("dominant_metric", "One metric decides the target", units.dominant_metric),
    # What is asked
    Check("unknown_sources", "Bounds of sources that are not there", region.unknown_sources),
    Check("bounds_in_percent", "Bounds that are no shares", region.bounds_in_percent),
    Check("missing_token_counts", "Sources without a token count", region.missing_token_counts),
    Check("infeasible_region", "Conditions that no mixture meets", region.infeasible_region),
    Check("far_region", "Bounds within which no run lies", region.far_region),
    Check("repetition", "Many epochs without a cap", region.repetition),
    Check("unrepeated_runs", "Repetition that no run has seen", region.unrepeated_runs),
)
