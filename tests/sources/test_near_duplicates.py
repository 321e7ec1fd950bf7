"""Near-duplicates: what is found, counted, named and dropped; with sets of words, and with MinHash."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.sources.corpus import Corpus
from cuvee.sources.document import Document
from cuvee.sources.minhash import MinHashIndex, Resemblance
from cuvee.sources.near_duplicates import NearDuplicates, NearFound, NearOptions, Readable
from cuvee.sources.preparation import prepare
from cuvee.sources.readers import SourceSpec
from cuvee.sources.split import SplitOptions
from tests.sources.helpers import Recorder, write_lines


def story(number: int, words: int = 120, changed: int = 0) -> str:
    """A text of its own; ``changed`` of its words are others."""
    rng = np.random.default_rng(number)
    found = [f"w{one}" for one in rng.integers(10_000, size=words)]
    for place in np.linspace(0, words - 1, changed, dtype=int):
        found[place] = f"other{place}"
    return " ".join(found)


@dataclass
class Sets:
    """The same question answered by sets of words, exactly."""

    threshold: float
    known: list[tuple[str, str, frozenset[str]]] = field(default_factory=list)

    def signature(self, text: str) -> Any:
        return frozenset(text.split()) or None

    def resembled(self, signature: Any, passed_over: frozenset[str] = frozenset()) -> Resemblance | None:
        for source, location, words in self.known:
            share = len(words & signature) / len(words | signature)
            if share >= self.threshold and source not in passed_over:
                return Resemblance(source, location, share)
        return None

    def add(self, signature: Any, source: str, location: str) -> None:
        self.known.append((source, location, signature))


def readable(name: str, texts: list[str], **more: Any) -> Readable:
    documents = [Document(text, name, f"{name}:{place}") for place, text in enumerate(texts)]
    return Readable(name, repr(texts), lambda: iter(documents), **more)


def passes(options: NearOptions, sources: list[Readable], index: Any = None) -> list[NearFound]:
    near = NearDuplicates(options, index or Sets(options.threshold))
    return [near.pass_over(one) for one in sources]


A = readable("a", [story(1), story(2), story(1, changed=3)])
B = readable("b", [story(2, changed=5), story(3), "", story(3, changed=1)])


def test_the_earlier_one_stays_within_and_across_sources() -> None:
    a, b = passes(NearOptions(0.8), [A, B])
    assert (a.rows.tolist(), a.earlier) == ([2], {"a": 1})
    assert (b.rows.tolist(), b.earlier) == ([0, 3], {"a": 1, "b": 1})
    assert b.examples[0].startswith("b:0 resembles a:1 (0.9")
    assert b.among(4).tolist() == [True, False, False, True]


def test_sources_that_may_have_the_same_text_and_evaluations() -> None:
    child = readable("child", [story(1, changed=1), story(9)], same_text=frozenset({"a"}))
    exam = readable("exam", [story(5), story(5, changed=1)], evaluation=True)
    last = readable("b", [story(5, changed=2)])
    found = passes(NearOptions(0.8), [exam, A, child, last])
    assert [one.rows.tolist() for one in found] == [[], [2], [], [0]]
    assert found[-1].earlier == {"exam": 1}


def test_what_was_found_is_kept_and_found_again_where_it_is_damaged(tmp_path: Path) -> None:
    options = NearOptions(0.8, folder=tmp_path)
    before = passes(options, [A, B])

    class Refuses(Sets):
        def signature(self, text: str) -> Any:
            raise AssertionError("nothing is to be read again")

    def said(found: list[NearFound]) -> list[Any]:
        return [one.as_json() for one in found]

    assert said(passes(options, [A, B], Refuses(0.8))) == said(before)
    for file in tmp_path.iterdir():
        file.write_text("{}")
    assert said(passes(options, [A, B])) == said(before)
    new = readable("c", [story(1, changed=2), story(7)])
    assert passes(options, [A, B, new])[-1].earlier == {"a": 1}, "earlier sources are read for a new one"


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0])
def test_a_threshold_that_makes_no_sense(threshold: float) -> None:
    with pytest.raises(ConfigError, match=r"duplicates\.near must lie between 0 and 1"):
        NearOptions(threshold)


# --- with datasketch --------------------------------------------------------------------------------


@pytest.fixture
def datasketch() -> Any:
    return pytest.importorskip("datasketch", reason="needs the extra dedup")


def corpus(folder: Path, near: NearOptions | None, recorder: Recorder | None = None) -> Corpus:
    a = [story(number) for number in range(30)]
    b = [story(number, changed=2) for number in range(5)] + [story(number) for number in range(50, 80)]
    files = {name: write_lines(folder / f"{name}.jsonl", texts) for name, texts in (("a", a), ("b", b))}
    specs = [SourceSpec(name, (str(file),)) for name, file in files.items()]
    return prepare(specs, {}, SplitOptions(eval_fraction=0.0), recorder, folder / "kept", near=near)


def test_copies_with_changes_are_dropped_counted_and_named(tmp_path: Path, datasketch: Any) -> None:
    recorder = Recorder()
    found = corpus(tmp_path, NearOptions(0.7, folder=tmp_path / "kept"), recorder)
    report = found.report.sources[1]
    assert (report.near_duplicates, report.kept.documents) == (5, 30)
    assert "5 are near-duplicates of documents of 'a'" in str(report)
    assert any("b.jsonl:1 resembles" in said and "a.jsonl:1 (0." in said for said in recorder.messages)
    assert sum(found.part("b", part).documents for part in found.parts("b")) == 30
    again = corpus(tmp_path, NearOptions(0.7, folder=tmp_path / "kept"))
    assert again.report == found.report


def test_they_are_only_reported(tmp_path: Path, datasketch: Any) -> None:
    found, plain = corpus(tmp_path, NearOptions(0.7, drop=False)), corpus(tmp_path, None)
    report = found.report.sources[1]
    assert (report.near_duplicates, report.kept) == (5, plain.report.sources[1].kept)
    assert "5 are near-duplicates of documents of 'a', kept" in str(report)


def test_hashes_estimate_the_similarity_and_follow_the_seed(datasketch: Any) -> None:
    one, other = story(1, 400), story(1, 400, changed=10)
    sets = [{tuple(text.split()[i : i + 5]) for i in range(396)} for text in (one, other)]
    exact = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    found: dict[int, set[float]] = {}
    for seed in (1, 1, 2):
        index = MinHashIndex.of(0.5, seed)
        index.add(index.signature(one), "a", "x")
        hit = index.resembled(index.signature(other))
        assert hit is not None and abs(hit.similarity - exact) < 0.13
        found.setdefault(seed, set()).add(hit.similarity)
        assert index.signature("four words are few") is None
    assert len(found[1]) == 1


def test_without_the_extra_it_is_named(tmp_path: Path) -> None:
    try:
        import datasketch  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match=r"pip install 'cuvee\[dedup\]'"):
            corpus(tmp_path, NearOptions(0.8))
    else:
        pytest.skip("datasketch is installed")
