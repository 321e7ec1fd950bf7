"""One of a thing is no plural."""

import pytest

from cuvee.flows.fit.price import in_words as price_in_words
from cuvee.quantities import agreeing, counted, of_unit
from cuvee.sources.corpus_report import PartInfo, SourceReport
from cuvee.study.outlook import in_words


def test_a_count_and_its_words_agree() -> None:
    assert (counted(1, "run"), counted(2, "run"), counted(0, "run")) == ("1 run", "2 runs", "0 runs")
    assert (counted(1, "copy", "copies"), counted(2, "copy", "copies")) == ("1 copy", "2 copies")
    assert (agreeing(1, "has", "have"), agreeing(3, "has", "have")) == ("has", "have")


@pytest.mark.parametrize(
    ("amount", "unit", "said"),
    [
        (1, "sizes of model", "size of model"),
        (2, "sizes of model", "sizes of model"),
        (1, "branches", "branch"),
        (1, "pieces", "piece"),
        (1.0, "tokens", "token"),
    ],
)
def test_a_unit_of_progress_follows_its_total(amount: float, unit: str, said: str) -> None:
    assert of_unit(amount, unit) == said


def test_times_to_wait_for() -> None:
    assert [in_words(one / 60) for one in (0.5, 1.2, 5.0)] == ["a minute", "a minute", "5 minutes"]
    assert [price_in_words(one) for one in (0.4, 30.0)] == ["1 second", "30 seconds"]


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "1 is a copy of another of its own"), (2, "2 are copies of others of its own")],
)
def test_copies_that_were_dropped_are_counted_in_words(count: int, said: str) -> None:
    kept = PartInfo(1, 30, "hash")
    report = SourceReport("web", kept, duplicates=count, duplicates_of={"web": count})
    assert str(report) == f"web: 1 document, 30 bytes; {said}"
