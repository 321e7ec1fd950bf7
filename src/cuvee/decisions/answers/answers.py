"""The answers of one study beside each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from cuvee.decisions.answers.choice import AnswerChoice, choose
from cuvee.decisions.answers.recommendation import Recommendation
from cuvee.decisions.disagreement import SAME, Disagreement, disagreements, share_words
from cuvee.mixture.distance import total_variation


@dataclass(frozen=True)
class AnswerPair:
    """Two answers, where they disagree, and which of them to believe."""

    one: Recommendation
    other: Recommendation
    apart: tuple[Disagreement, ...]
    """On the sources that both have, the widest gap first."""
    choice: AnswerChoice

    @classmethod
    def of(cls, one: Recommendation, other: Recommendation, stale: frozenset[str]) -> "AnswerPair":
        """Compare; ``stale`` names flows whose answers belong to another state of the study."""
        both = [name for name in one.shares if name in other.shares]
        apart = disagreements(both, [one.shares[n] for n in both], [other.shares[n] for n in both])
        return cls(one, other, apart, choose(one, other, stale))


@dataclass(frozen=True)
class Answers:
    """Whatever answers a study has."""

    found: tuple[Recommendation, ...]
    """In the order in which a study is asked."""
    outdated: Mapping[str, str]
    """Flow -> what its answer was made from that is no more."""
    passed_over: tuple[str, ...]
    """A sentence for each document that could not be read."""

    @property
    def comparisons(self) -> tuple[AnswerPair, ...]:
        """Every two answers."""
        stale = frozenset(self.outdated)
        return tuple(AnswerPair.of(one, other, stale) for one, other in combinations(self.found, 2))

    @property
    def preferred(self) -> Recommendation | None:
        """The one to take, each set against the best before it; of two of which neither is, the earlier."""
        best, stale = (self.found[0] if self.found else None), frozenset(self.outdated)
        for other in self.found[1:]:
            if best is not None and choose(best, other, stale).answer is other:
                best = other
        return best

    @property
    def sources(self) -> tuple[str, ...]:
        """Of all answers, the largest share first."""
        names = dict.fromkeys(name for answer in self.found for name in answer.shares)
        return tuple(sorted(names, key=lambda name: -max(_share(one, name) for one in self.found)))

    @property
    def worth_showing(self) -> bool:
        """There is more than one answer to look at, or one that could not be read."""
        return len(self.found) > 1 or bool(self.passed_over)


def sentences(answers: Answers) -> tuple[str, ...]:
    """What is to be said of the answers of a study: stale ones, disagreements, and what to believe."""
    stale = (f"cuvee {flow}: its answer was made from {what}." for flow, what in answers.outdated.items())
    compared = (_compared(comparison, answers.outdated) for comparison in answers.comparisons)
    return (*stale, *compared, *answers.passed_over)


def _compared(comparison: AnswerPair, outdated: Mapping[str, str]) -> str:
    one, other, apart = comparison.one, comparison.other, comparison.apart
    if not apart:
        levels = "" if one.level == other.level else f", at {one.level:.0%} and {other.level:.0%}"
        stale = " and ".join(answer.command for answer in (one, other) if answer.flow in outdated)
        but = f"; what {stale} says is of another state of the study" if stale else ""
        agreed = f"{one.command} and {other.command} agree within their intervals{levels}{but}."
        return agreed + (f" {comparison.choice.sentence}" if _judged_apart(one, other) else "")
    first = apart[0]
    more = f", and on {len(apart) - 1} more" if len(apart) > 1 else ""
    return (
        f"{one.command} and {other.command} disagree on {first.source}, {share_words(first.one)} against "
        f"{share_words(first.other)}{more}. {comparison.choice.sentence}"
    )


def _judged_apart(one: Recommendation, other: Recommendation) -> bool:
    """Wide intervals meet where trainings do not: they judged two mixtures unlike."""
    standings = {one.verdict.standing, other.verdict.standing}
    names = one.shares.keys() | other.shares.keys()
    apart = total_variation([_share(one, name) for name in names], [_share(other, name) for name in names])
    return len(standings) > 1 and bool(standings & {"confirmed", "refuted"}) and bool(apart > SAME)


def _share(answer: Recommendation, source: str) -> float:
    return answer.shares[source].mean if source in answer.shares else 0.0
