"""Which tokens an evaluation set scores, found document by document: loops where the library has formulas.

The rule is that of ``cuvee.sources.evaluation_set``; only its constants are taken from there.
"""

from dataclasses import dataclass
from math import floor, sqrt

from cuvee.sources.evaluation_set import SHORTEST_PIECE, Half
from cuvee.sources.shards import TokenShard


@dataclass(frozen=True)
class Piece:
    """Successive tokens of one document that are scored."""

    document: int
    start: int
    """Its first token, counted from the beginning of the document."""
    length: int


def pieces(shard: TokenShard, window: int, max_tokens: int, half: Half | None = None) -> list[Piece]:
    """All pieces in the order in which they are scored: those of whole windows first."""
    chosen = documents_of(shard, half)
    lengths = [len(shard.document(index)) for index in chosen]
    if sum(lengths) <= max_tokens:
        return [Piece(index, 0, length) for index, length in zip(chosen, lengths, strict=True)]
    lengths = _that_take_part(lengths, window, max_tokens)
    found: list[Piece] = []
    for place, part in enumerate(_parts(lengths, window, max_tokens)):
        found += _spread(chosen[place], place, lengths[place], part, window)
    whole = [piece for piece in found if piece.length % window == 0]
    return whole + [piece for piece in found if piece.length % window != 0]


def documents_of(shard: TokenShard, half: Half | None) -> list[int]:
    """The documents of a half: every other one, if there are two or more."""
    every = list(range(shard.documents))
    if half is None or len(every) == 1:
        return every
    return [index for index in every if index % 2 == (half == "checking")]


def _that_take_part(lengths: list[int], window: int, budget: int) -> list[int]:
    """The first documents, as long as the budget has a shortest piece for each; the first always."""
    kept, left = lengths[:1], budget - min(lengths[0], window, SHORTEST_PIECE)
    for length in lengths[1:]:
        left -= min(length, window, SHORTEST_PIECE)
        if left < 0:
            break
        kept.append(length)
    return kept


def _parts(lengths: list[int], window: int, budget: int) -> list[int]:
    """Tokens of each document: one more for all of them at a time, as long as the budget lasts."""
    level = 1
    while level < max(lengths) and sum(min(length, level + 1) for length in lengths) <= budget:
        level += 1
    if level >= max(lengths) or level < window:
        return [min(length, level) for length in lengths]
    level = level // window * window
    parts = [min(length, level) for length in lengths]
    for place, length in enumerate(lengths):
        if length >= level + window and sum(parts) + window <= budget:
            parts[place] += window
    return parts


def _spread(document: int, place: int, length: int, part: int, window: int) -> list[Piece]:
    """A whole document, or pieces each somewhere in a stretch of its own."""
    if part == length:
        return [Piece(document, 0, length)]
    count = max(1, part // window)
    size, stretch = part // count, length / count
    where = place * (sqrt(5) - 1) / 2 % 1.0 * (1.0 - size / stretch)
    return [Piece(document, floor((number + where) * stretch), size) for number in range(count)]
