"""What trained models read of each source: read from their logs, compared with what was asked for."""

import json
import math
from pathlib import Path

import pytest

from cuvee.report.html import render_html
from cuvee.report.markdown import render_markdown
from cuvee.report.view import StudyView
from cuvee.runs.roles import SEED
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.agenda import Agenda, Intended
from cuvee.study.realised import read_shares, realised_trainings, sentences_on
from cuvee.study.survey import survey
from tests.report.cases import choosing
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


def seed_of(folder: StudyFolder) -> list[Intended]:
    return Agenda.read(folder).of_roles([SEED])


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


def test_the_page_shows_what_was_read_of_each_source(seeded: tuple[StudyFolder, list[str]]) -> None:
    folder = seeded[0]
    other = read_shares(folder, dict.fromkeys(LANGUAGES, 0.25))
    assert other is not None and (other.trainings, other.of_pick) == (1, 0)
    assert all(math.isnan(one.asked) and math.isnan(one.realised) for one in other.sources)
    read = read_shares(folder, SHARES)
    assert read is not None and (read.trainings, read.of_pick, read.unasked) == (1, 1, 0)
    by_name = {one.source: one for one in realised_trainings(folder, seed_of(folder))[0].shares}
    for one in read.sources:
        assert (one.asked, one.realised) == (SHARES[one.source], by_name[one.source].realised)
        assert one.difference == pytest.approx(abs(one.realised - one.asked))
    assert read.statement.startswith("1 training, as asked for, up to rounding; largest difference 0.")
    view = StudyView.of(choosing(SHARES, {}), read=read)
    page, text = render_html(view), render_markdown(view)
    ka = by_name["ka"]
    assert f"<small>{read.statement}</small>" in page
    assert f"| ka | 50.00% | {ka.realised:.2%} | {abs(ka.realised - 0.5):.2%} |" in text
    assert read_shares(StudyFolder(folder.root / "nowhere"), SHARES) is None


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
        read = read_shares(folder, SHARES)
    finally:
        log.write_text(text)
    key = log.parent.name
    assert read is not None and read.unasked == 1
    assert [one.training for one in read.sources[:2]] == [f"{key} (seed)"] * 2
    assert read.statement.endswith("1 of them not as asked for; largest difference 3.12% of the tokens")
    assert sentences[0] == (
        f"warning: training {key} (seed) read 46.88% of ka where 50.00% were asked for, "
        "33.12% of lo where 30.00% were asked for"
    )


def test_models_without_a_readable_log_are_left_out(tmp_path: Path) -> None:
    assert realised_trainings(StudyFolder(tmp_path), ()) == ()
    assert sentences_on(()) == []
