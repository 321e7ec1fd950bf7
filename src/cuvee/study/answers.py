"""The answers of one study beside each other, read from its folder (floor 7).

What lies there is read when it is shown, so that a page tells the state of the study and not that of the day
on which its own answer was made. An answer that cannot be read is named and passed over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from cuvee.errors import ConfigError, CuveeError
from cuvee.seal import read_sealed
from cuvee.study.answer import Answer, answer_of
from cuvee.study.answer_choice import Choice, choose
from cuvee.study.decision import Decision
from cuvee.study.disagreement import SAME, Disagreement, disagreements, moved, share_words
from cuvee.study.folder import StudyFolder
from cuvee.study.outdated import outdated, outdated_files
from cuvee.study.scale.decision import ScaleDecision
from cuvee.study.search.decision import SearchDecision
from cuvee.types import Json

FLOWS: Mapping[str, tuple[str, Callable[[Json], Decision | SearchDecision | ScaleDecision]]] = {
    "run": ("decision.json", Decision.from_json),
    "search": ("search.json", SearchDecision.from_json),
    "scale": ("scale.json", ScaleDecision.from_json),
}
"""The command -> where its answer lies, and its reader."""

_BROKEN = (CuveeError, OSError, ValueError, ArithmeticError, LookupError)


@dataclass(frozen=True)
class Comparison:
    """Two answers, where they disagree, and which of them to believe."""

    one: Answer
    other: Answer
    apart: tuple[Disagreement, ...]
    """On the sources that both have, the widest gap first."""
    choice: Choice

    @classmethod
    def of(cls, one: Answer, other: Answer, stale: frozenset[str]) -> "Comparison":
        """Compare; ``stale`` names flows whose answers belong to another state of the study."""
        both = [name for name in one.shares if name in other.shares]
        apart = disagreements(both, [one.shares[n] for n in both], [other.shares[n] for n in both])
        return cls(one, other, apart, choose(one, other, stale))


@dataclass(frozen=True)
class Answers:
    """Whatever answers a study has. Made by ``read``."""

    found: tuple[Answer, ...]
    """In the order of ``FLOWS``."""
    outdated: Mapping[str, str]
    """Flow -> what its answer was made from that is no more."""
    passed_over: tuple[str, ...]
    """A sentence for each document that could not be read."""

    @classmethod
    def read(cls, folder: Path, own: Decision | SearchDecision | ScaleDecision | None = None) -> "Answers":
        """Read the folder of a study.

        Args:
            folder: in which ``study.yaml`` lies.
            own: the decision that is being shown, in place of what lies under its name.
        """
        found, broken = {}, []
        for flow, (name, reader) in FLOWS.items():
            try:
                found[flow] = answer_of(reader(_document(folder / name)))
            except FileNotFoundError:
                continue
            except _BROKEN as error:
                broken.append((flow, f"{name} is passed over: {error}."))
        shown = None if own is None else answer_of(own)
        if shown is not None:
            found[shown.flow] = shown
        passed_over = tuple(text for flow, text in broken if shown is None or flow != shown.flow)
        answers = tuple(found[flow] for flow in FLOWS if flow in found)
        return cls(answers, outdated(folder, answers, shown), passed_over)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every two answers."""
        stale = frozenset(self.outdated)
        return tuple(Comparison.of(one, other, stale) for one, other in combinations(self.found, 2))

    @property
    def sources(self) -> tuple[str, ...]:
        """Of all answers, the largest share first."""
        names = dict.fromkeys(name for answer in self.found for name in answer.shares)
        return tuple(sorted(names, key=lambda name: -max(_share(one, name) for one in self.found)))

    @property
    def worth_showing(self) -> bool:
        """There is more than one answer to look at, or one that could not be read."""
        return len(self.found) > 1 or bool(self.passed_over)


def read_answer(folder: Path, flow: str) -> Decision | SearchDecision | ScaleDecision | None:
    """The answer of one flow, a name of ``FLOWS``; None where there is none yet.

    Raises:
        ConfigError: it cannot be read.
    """
    name, reader = FLOWS[flow]
    try:
        return reader(_document(folder / name))
    except FileNotFoundError:
        return None
    except _BROKEN as error:
        raise ConfigError(f"{folder / name}: {error}; `cuvee {flow}` writes it again") from error


def stale_note(path: Path) -> list[str]:
    """What to know of an answer that is taken out of the folder of a study: whether it is one of another
    state.

    Args:
        path: a file of ``FLOWS``; a note is there only where it lies beside its ``study.yaml``.
    """
    flow = next((flow for flow, (name, _) in FLOWS.items() if name == path.name), "")
    origin = outdated_files(StudyFolder(path.parent)).get(flow)
    return [f"{path.name} was made from {origin}; `cuvee {flow}` makes it anew"] if origin else []


def sentences(answers: Answers) -> tuple[str, ...]:
    """What is to be said of the answers of a study: stale ones, disagreements, and what to believe."""
    stale = (f"cuvee {flow}: its answer was made from {what}." for flow, what in answers.outdated.items())
    compared = (_compared(comparison, answers.outdated) for comparison in answers.comparisons)
    return (*stale, *compared, *answers.passed_over)


def _compared(comparison: Comparison, outdated: Mapping[str, str]) -> str:
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


def _judged_apart(one: Answer, other: Answer) -> bool:
    """Wide intervals meet where trainings do not: they judged two mixtures unlike."""
    standings = {one.verdict.standing, other.verdict.standing}
    names = one.shares.keys() | other.shares.keys()
    apart = moved([_share(one, name) for name in names], [_share(other, name) for name in names])
    return len(standings) > 1 and bool(standings & {"confirmed", "refuted"}) and apart > SAME


def _document(path: Path) -> Json:
    document = read_sealed(path)
    if not isinstance(document, dict):
        raise ConfigError(f"it holds no decision, but {type(document).__name__}")
    return document


def _share(answer: Answer, source: str) -> float:
    return answer.shares[source].mean if source in answer.shares else 0.0
