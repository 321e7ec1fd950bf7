"""Whether the order of mixtures survives, on a terminal."""

from cuvee.decisions.ablation.order import MixtureOrder, OrderRow
from cuvee.quantities import counted
from cuvee.report.printout import Grid, Printout
from cuvee.report.wording import interval_of, plain, plain_ends, plain_percent


def order_printout(order: MixtureOrder | None, confidence: float) -> Printout:
    """The sentence, unless the first lines have it, and its table; nothing where nobody asked."""
    if order is None:
        return ()
    columns = ("trained again with", "order", "pairs", "keep it", "rank correlation", interval_of(confidence))
    table = Grid(f"The order of {counted(order.mixtures, 'mixture')}", columns, tuple(map(_row, order.rows)))
    return (table,) if order.lost else (order.statement, table)


def _row(row: OrderRow) -> tuple[str, ...]:
    return (
        row.setting,
        row.survival,
        f"{row.differing} of {row.pairs}",
        plain_percent(row.kept_share, 0),
        plain(row.spearman, 2),
        plain_ends(row.spearman_low, row.spearman_high, lambda value: plain(value, 2)),
    )
