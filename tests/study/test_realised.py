"""What trained models read of each source: read from their logs, compared with what was asked for."""

import json
from pathlib import Path

import pytest

from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.realised import realised_trainings, sentences_on
from cuvee.study.survey import survey
from tests.study.tiny_study import LANGUAGES, Listener, run, write_study

SHARES = {"ka": 0.5, "lo": 0.3, "mi": 0.15, "nu": 0.05}


class Pooling(Listener):
    """Stops when the seed model is there, and keeps the notes."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def stage(self, title: str, total: float, unit: str) -> None:
        super().stage(title, total, unit)
        if title == "training branches and references":
            raise KeyboardInterrupt

    def advance(self, amount: float, note: str = "") -> None:
        self.notes.append(note)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, list[str]]:
    folder = write_study(tmp_path_factory.mktemp("seeded"), seed_training={"mixture": SHARES})
    listener = Pooling()
    with pytest.raises(KeyboardInterrupt):
        run(folder, listener)
    return folder, listener.notes


def test_notes_say_what_was_read_so_far(seeded: tuple[StudyFolder, list[str]]) -> None:
    last = next(note for note in reversed(seeded[1]) if "step 40/40" in note)
    assert last.endswith(" read ka 50.0%, lo 30.0%, mi 15.0%, nu 5.0%")


def test_realised_shares_stand_beside_those_asked_for(seeded: tuple[StudyFolder, list[str]]) -> None:
    folder = seeded[0]
    found = survey(StudyConfig.load(folder.root), folder).realised
    assert [one.role for one in found] == ["seed"]
    assert [one.source for one in found[0].shares] == list(LANGUAGES)
    windows = 40 * 256 // 32
    for one in found[0].shares:
        assert one.asked == pytest.approx(SHARES[one.source])
        assert one.realised * windows == round(one.realised * windows)
        assert one.as_asked and abs(one.realised - one.asked) <= 2.5 / windows
    well, again = sentences_on(found)
    assert well == "shares of 1 training: read as asked for, up to rounding"
    assert again.startswith("read most often: ka, ")


def test_a_source_that_gave_less_than_its_share_is_a_warning(
    seeded: tuple[StudyFolder, list[str]],
) -> None:
    folder = seeded[0]
    [log] = folder.checkpoints.glob("*/training.json")
    text = log.read_text()
    said = json.loads(text)
    said["tokens"]["ka"] -= 10 * 32
    said["tokens"]["lo"] += 10 * 32
    log.write_text(json.dumps(said))
    try:
        sentences = sentences_on(survey(StudyConfig.load(folder.root), folder).realised)
    finally:
        log.write_text(text)
    key = log.parent.name
    assert sentences[0] == (
        f"warning: training {key} (seed) read 46.88% of ka where 50.00% were asked for, "
        "33.12% of lo where 30.00% were asked for"
    )


def test_models_without_a_readable_log_are_left_out(tmp_path: Path) -> None:
    assert realised_trainings(StudyFolder(tmp_path), ()) == ()
    assert sentences_on(()) == []
