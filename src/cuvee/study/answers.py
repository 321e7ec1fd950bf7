"""The answers that lie in the folder of a study, read and set beside each other.

What lies there is read when it is shown, so that a page shows the state of the study and not that of the day
on which its own answer was made. An answer that cannot be read is named and passed over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.answers.answers import Answers
from cuvee.decisions.answers.recommendation import answer_of
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.search.decision import SearchDecision
from cuvee.errors import ConfigError, CuveeError
from cuvee.seal import read_sealed
from cuvee.study.file.folder import StudyFolder, owner_of
from cuvee.study.outdated import outdated, outdated_files
from cuvee.types import Json

AnyDecision = Decision | SearchDecision | ScaleDecision
"""An answer to a study."""

FLOWS: Mapping[str, tuple[str, Callable[[Json], AnyDecision]]] = {
    "run": ("decision.json", Decision.from_json),
    "search": ("search.json", SearchDecision.from_json),
    "scale": ("scale.json", ScaleDecision.from_json),
}
"""The command -> where its answer lies, and its reader."""

_BROKEN = (CuveeError, OSError, ValueError, ArithmeticError, LookupError)


@dataclass(frozen=True)
class KeptAnswers:
    """What lies in the folder of a study, each answer read once. Made by ``read``."""

    folder: Path
    """In which ``study.yaml`` lies."""
    found: Mapping[str, AnyDecision]
    """Flow -> its answer."""
    broken: Mapping[str, Exception]
    """Flow -> why its answer cannot be read."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read whatever can be read."""
        found: dict[str, AnyDecision] = {}
        broken: dict[str, Exception] = {}
        for flow, (name, reader) in FLOWS.items():
            try:
                decision = reader(_document(folder / name))
                answer_of(decision)  # one that cannot be set beside others is damaged, too
                found[flow] = decision
            except FileNotFoundError:
                continue
            except _BROKEN as error:
                broken[flow] = error
        return cls(folder, found, broken)

    @property
    def flows(self) -> tuple[str, ...]:
        """Those that have answered, in the order in which a study is asked."""
        return tuple(flow for flow in FLOWS if flow in self.found or flow in self.broken)

    def decision(self, flow: str) -> AnyDecision:
        """The answer of one of ``flows``.

        Raises:
            ConfigError: it cannot be read.
        """
        if error := self.broken.get(flow):
            raise _unreadable(self.folder, flow, error) from error
        return self.found[flow]

    def beside(self, own: AnyDecision | None = None) -> Answers:
        """All of them beside each other.

        Args:
            own: the decision that is being shown, in place of what lies under its name.
        """
        found = {flow: answer_of(decision) for flow, decision in self.found.items()}
        shown = None if own is None else answer_of(own)
        if shown is not None:
            found[shown.flow] = shown
        passed_over = tuple(
            f"{FLOWS[flow][0]} is passed over: {error}."
            for flow, error in self.broken.items()
            if shown is None or flow != shown.flow
        )
        answers = tuple(found[flow] for flow in FLOWS if flow in found)
        return Answers(answers, outdated(self.folder, answers, shown), passed_over)


def read_answers(folder: Path, own: AnyDecision | None = None) -> Answers:
    """Read the answers in the folder of a study and set them beside each other.

    Args:
        folder: in which ``study.yaml`` lies.
        own: the decision that is being shown, in place of what lies under its name.
    """
    return KeptAnswers.read(folder).beside(own)


def read_answer(folder: Path, flow: str) -> AnyDecision | None:
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
        raise _unreadable(folder, flow, error) from error


def stale_note(path: Path) -> list[str]:
    """What to know of an answer that is taken out of the folder of a study: whether it is one of another
    state.

    Args:
        path: a file of ``FLOWS``, or the answer of a swarm; a note is there only where it lies in the folder
            of its study.
    """
    flow, root = next((flow for flow, (name, _) in FLOWS.items() if name == path.name), ""), path.parent
    if path.name == "fit.json" and owner_of(path.parent) == "swarm":
        flow, root = "swarm", path.absolute().parents[1]
    origin = outdated_files(StudyFolder(root)).get(flow)
    return [f"{path.name} was made from {origin}; `cuvee {flow}` makes it anew"] if origin else []


def _unreadable(folder: Path, flow: str, error: Exception) -> ConfigError:
    return ConfigError(f"{folder / FLOWS[flow][0]}: {error}; `cuvee {flow}` writes it again")


def _document(path: Path) -> Json:
    """The JSON object in a file.

    Raises:
        OSError: it cannot be opened.
        ConfigError: it holds none.
    """
    try:
        document = read_sealed(path)
    except ValueError as error:
        raise ConfigError(f"not JSON, or damaged ({error})") from error
    if not isinstance(document, dict):
        raise ConfigError(f"not a decision, but {type(document).__name__}")
    return document
