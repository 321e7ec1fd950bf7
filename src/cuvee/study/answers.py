"""The answers of one study beside each other, read from its folder.

What lies there is read when it is shown, so that a page tells the state of the study and not that of the day
on which its own answer was made. An answer that cannot be read is named and passed over.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.answer import answer_of
from cuvee.decisions.answers import Answers
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.search.decision import SearchDecision
from cuvee.errors import ConfigError, CuveeError
from cuvee.seal import read_sealed
from cuvee.study.file.folder import StudyFolder
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


def read_answers(folder: Path, own: AnyDecision | None = None) -> Answers:
    """Read the answers in the folder of a study.

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
    return Answers(answers, outdated(folder, answers, shown), passed_over)


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


def _document(path: Path) -> Json:
    document = read_sealed(path)
    if not isinstance(document, dict):
        raise ConfigError(f"it holds no decision, but {type(document).__name__}")
    return document
