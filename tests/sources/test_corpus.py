"""From files to parts: cleaning, division, identity and contamination."""

import os
import random
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from cuvee.errors import BrokenRecord, ConfigError, EmptySource, MissingSource, SourceError
from cuvee.sources.corpus import Corpus
from cuvee.sources.preparation import prepare
from cuvee.sources.readers import SourceSpec
from cuvee.sources.split import EVAL, SplitOptions
from tests.sources.helpers import Recorder, write_bytes, write_lines

OPTIONS = SplitOptions(eval_fraction=0.1, seed_fraction=0.2, units=2)
PARTS = ("eval", "seed", "unit-0", "unit-1")


def texts(name: str, count: int = 60) -> list[str]:
    return [f"{name} document {i}: " + " ".join(f"{name}{i}w{j}" for j in range(20)) for i in range(count)]


def source(folder: Path, name: str, lines: list[Any], **changes: Any) -> SourceSpec:
    path = write_lines(folder / name / "part.jsonl.zst", lines)
    return SourceSpec(name, (str(path),), **changes)


def contents(corpus: Corpus, name: str) -> dict[str, list[str]]:
    return {part: [d.text for d in corpus.documents(name, part)] for part in corpus.parts(name)}


def report(corpus: Corpus, name: str) -> Any:
    return next(entry for entry in corpus.report.sources if entry.source == name)


def test_parts_divide_the_documents(tmp_path: Path) -> None:
    corpus = prepare([source(tmp_path, "a", texts("a"))], {}, OPTIONS)
    found = contents(corpus, "a")
    assert tuple(found) == PARTS == corpus.parts("a")
    assert sorted(chain(*found.values())) == sorted(texts("a"))
    for part, members in found.items():
        info = corpus.part("a", part)
        assert info.documents == len(members) > 0
        assert info.bytes == sum(len(text.encode()) for text in members)
    assert len({corpus.part("a", part).content_hash for part in PARTS}) == 4
    assert report(corpus, "a").kept.documents == 60
    assert corpus.training == ("a",)


def test_files_and_order_do_not_matter(tmp_path: Path) -> None:
    lines = texts("a")
    one = prepare([source(tmp_path / "one", "a", lines)], {}, OPTIONS)
    random.Random(1).shuffle(lines)
    for i in range(4):
        write_lines(tmp_path / "two" / f"{i}.jsonl", lines[i::4])
    two = prepare([SourceSpec("a", (str(tmp_path / "two"),))], {}, OPTIONS)
    assert {part: sorted(found) for part, found in contents(one, "a").items()} == {
        part: sorted(found) for part, found in contents(two, "a").items()
    }
    assert all(one.part("a", part) == two.part("a", part) for part in PARTS)
    assert report(one, "a") == report(two, "a")


def test_one_new_document_changes_one_part(tmp_path: Path) -> None:
    before = prepare([source(tmp_path / "1", "a", texts("a"))], {}, OPTIONS)
    after = prepare([source(tmp_path / "2", "a", [*texts("a"), "one more"])], {}, OPTIONS)
    changed = [part for part in PARTS if before.part("a", part) != after.part("a", part)]
    assert len(changed) == 1
    assert "one more" in contents(after, "a")[changed[0]]


def test_empty_and_repeated_documents_are_dropped_and_the_first_source_wins(tmp_path: Path) -> None:
    a = source(tmp_path, "a", [*texts("a"), "", " \n\t", texts("a")[0], texts("a")[0]])
    b = source(tmp_path, "b", [*texts("b"), texts("a")[5], texts("a")[6] + " "])
    corpus = prepare([a, b], {}, OPTIONS)
    assert (report(corpus, "a").empty, report(corpus, "a").duplicates) == (2, 2)
    assert (report(corpus, "b").empty, report(corpus, "b").duplicates) == (0, 1)
    assert sorted(chain(*contents(corpus, "b").values())) == sorted([*texts("b"), texts("a")[6] + " "])
    assert str(report(corpus, "a")).endswith("bytes; 2 are copies of others of its own; 2 are empty")
    assert str(report(corpus, "b")).endswith("bytes; 1 is in source 'a' already")
    assert report(corpus, "b").duplicates_of == {"a": 1}


def test_dropped_duplicates_are_said(tmp_path: Path) -> None:
    progress = Recorder()
    a = source(tmp_path, "a", texts("a"))
    b = source(tmp_path, "b", [*texts("b"), *texts("a", 7)])
    prepare([a, b], {}, OPTIONS, progress)
    (said,) = progress.messages
    assert said.startswith("b: 60 documents") and said.endswith("; 7 are in source 'a' already")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (texts("a", 60), "all its 60 documents are in source 'a' already; give it other documents"),
        (texts("e", 8), "all its 8 documents are dropped, because evaluation 'ev' has the same text; give"),
        (["", " "], "all its 2 documents are empty"),
        (texts("e", 1), "its only document is dropped, because evaluation 'ev'"),
        (
            [*texts("e", 3), *texts("a", 1), "x", "x", "x", ""],
            "has 1 document to use but 4 parts need one each (eval, seed, unit-0, unit-1): of its 8 "
            "documents 3 are dropped, because evaluation 'ev' has the same text, 1 is in source 'a' already, "
            "2 are copies of others of its own, 1 is empty; give it more documents",
        ),
    ],
)
def test_a_source_of_which_nothing_is_left_says_where_it_went(
    tmp_path: Path, lines: list[str], reason: str
) -> None:
    a, b = source(tmp_path, "a", texts("a")), source(tmp_path, "b", lines)
    with pytest.raises(EmptySource) as caught:
        prepare([a, b], {"ev": source(tmp_path, "ev", texts("e", 8))}, OPTIONS)
    assert reason in str(caught.value)


def test_a_source_listed_twice_is_recognised(tmp_path: Path) -> None:
    a = source(tmp_path, "a", texts("a"))
    with pytest.raises(
        EmptySource, match=r"'again' has 0 documents.*all its 60 documents are in source 'a' al"
    ):
        prepare([a, SourceSpec("again", a.paths)], {}, OPTIONS)


def test_broken_records_stop_or_are_counted(tmp_path: Path) -> None:
    lines: list[Any] = [*texts("a"), *range(7)]
    with pytest.raises(BrokenRecord, match=r"part\.jsonl\.zst:61: "):
        prepare([source(tmp_path, "a", lines)], {}, OPTIONS)
    progress = Recorder()
    corpus = prepare([source(tmp_path, "a", lines, allow_broken=True)], {}, OPTIONS, progress)
    assert report(corpus, "a").broken == 7
    assert len(report(corpus, "a").broken_examples) == 5
    assert ":61: " in report(corpus, "a").broken_examples[0]
    assert progress.messages == [str(report(corpus, "a"))]
    assert sorted(chain(*contents(corpus, "a").values())) == sorted(texts("a"))


def test_evaluations_with_files_of_their_own_leave_training(tmp_path: Path) -> None:
    a, b = texts("a"), texts("b")
    own = source(tmp_path, "own", [a[0], a[1], a[1], b[0], *texts("new", 10)])
    corpus = prepare(
        [source(tmp_path, "a", a), source(tmp_path, "b", b)], {"q": own, "held-out": "a"}, OPTIONS
    )
    assert corpus.evaluations == {"q": "own", "held-out": "a"}
    assert corpus.parts("own") == (EVAL,)
    assert sorted(contents(corpus, "own")[EVAL]) == sorted([a[0], a[1], b[0], *texts("new", 10)])
    assert sorted(chain(*contents(corpus, "a").values())) == sorted(a[2:])
    assert [report(corpus, name).contaminated for name in ("a", "b", "own")] == [2, 1, 0]
    exact = {(entry.evaluation, entry.source): entry.exact_removed for entry in corpus.report.contamination}
    assert exact == {("q", "a"): 2, ("q", "b"): 1, ("held-out", "a"): 0, ("held-out", "b"): 0}


def test_two_evaluations_may_share_a_document(tmp_path: Path) -> None:
    a = texts("a")
    evaluations = {"x": source(tmp_path, "x", a[:2]), "y": source(tmp_path, "y", a[1:4])}
    corpus = prepare([source(tmp_path, "a", a)], evaluations, OPTIONS)
    assert [entry.exact_removed for entry in corpus.report.contamination] == [2, 3]
    assert report(corpus, "a").contaminated == 4


def test_shared_ngrams_are_found_in_training_parts_only(tmp_path: Path) -> None:
    a = texts("a")
    words = a[0].split()  # 23 words (4 of them "a document 0:"), 11 n-grams
    half = " ".join(words[:18]) + " and then something else altogether"
    own = source(tmp_path, "own", [half])
    corpus = prepare([source(tmp_path, "a", a), source(tmp_path, "b", texts("b"))], {"q": own}, OPTIONS)
    in_a, in_b = corpus.report.contamination
    held_out = a[0] in contents(corpus, "a")[EVAL]
    assert (in_a.source, in_a.ngrams) == ("a", 23 - 12)
    assert in_a.ngrams_found == (0 if held_out else 18 - 12)
    assert in_a.ngram_share == in_a.ngrams_found / 11
    assert (in_b.ngrams_found, in_b.ngram_share) == (0, 0.0)
    assert not held_out


def test_overlap_is_counted_once_and_by_content(tmp_path: Path) -> None:
    kept, looking = tmp_path / "kept", "looking for evaluation text in training text"

    def prepared(a: str, more: dict[str, Any], folder: Path | None = kept) -> tuple[Corpus, Recorder]:
        progress = Recorder()
        specs = [source(tmp_path / "1", a, texts("a")), source(tmp_path / "1", "b", texts("b"))]
        own = source(tmp_path / "1", "own", [" ".join(texts("a")[0].split()[:18]) + " and another end"])
        return prepare(specs, {"q": own, **more}, OPTIONS, progress, folder), progress

    def stages(progress: Recorder) -> list[tuple[float, float]]:
        rows = zip(progress.stages, progress.done, strict=True)
        return [(total, done) for (title, total, _), done in rows if title == looking]

    first, progress = prepared("a", {})
    assert stages(progress) == [(2, 2)]
    assert first.report.contamination == prepared("a", {}, None)[0].report.contamination
    again, progress = prepared("renamed", {})
    assert stages(progress) == []
    assert [one.ngrams_found for one in again.report.contamination] == [6, 0]
    wider, progress = prepared("a", {"held-out": "b"})
    assert stages(progress) == [(2, 2)]
    assert wider.report.contamination == prepared("a", {"held-out": "b"}, None)[0].report.contamination
    assert [one.held_out for one in wider.report.contamination] == [False, False, False, True]
    for file in kept.iterdir():
        file.write_text('{"x": 1}')
    damaged, progress = prepared("a", {})
    assert stages(progress) == [(2, 2)]
    assert damaged.report.contamination == first.report.contamination


def test_a_held_out_part_is_not_compared_with_itself(tmp_path: Path) -> None:
    corpus = prepare([source(tmp_path, "a", texts("a"))], {"e": "a"}, OPTIONS)
    (entry,) = corpus.report.contamination
    assert entry.ngrams == 11 * corpus.part("a", EVAL).documents
    assert entry.ngrams_found == 0


def test_a_small_source_fills_every_part_and_says_so(tmp_path: Path) -> None:
    progress = Recorder()
    corpus = prepare([source(tmp_path, "a", ["one", "two", "three", "four"])], {}, OPTIONS, progress)
    assert all(corpus.part("a", part).documents == 1 for part in PARTS)
    assert report(corpus, "a").moved > 0
    assert "moved to an empty part" in progress.messages[0]


def test_a_source_with_too_few_documents_is_told_what_to_do(tmp_path: Path) -> None:
    long = "\n\n".join(texts("long", 40))
    path = write_bytes(tmp_path / "a.txt", long.encode())
    with pytest.raises(EmptySource, match=r"'a' has 1 document to.*chunk_characters"):
        prepare([SourceSpec("a", (str(path),))], {}, OPTIONS)
    corpus = prepare([SourceSpec("a", (str(path),), chunk_characters=400)], {}, OPTIONS)
    pieces = [(int(d.location.split("#")[1]), d.text) for p in PARTS for d in corpus.documents("a", p)]
    assert "".join(text for _, text in sorted(pieces)) == long
    with pytest.raises(EmptySource, match="'b' has 0 documents"):
        prepare([source(tmp_path, "b", ["", " "])], {}, OPTIONS)
    with pytest.raises(EmptySource, match="evaluation 'q' has no document"):
        prepare([source(tmp_path, "c", texts("c"))], {"q": source(tmp_path, "d", [])}, OPTIONS)


def test_sources_may_be_divided_each_in_its_own_way(tmp_path: Path) -> None:
    specs = [source(tmp_path, name, texts(name)) for name in "ab"]
    splits = {"a": OPTIONS, "b": SplitOptions(eval_fraction=0, seed_fraction=0, units=3)}
    corpus = prepare(specs, {"e": "a"}, splits)
    assert corpus.parts("a") == PARTS
    assert corpus.parts("b") == ("unit-0", "unit-1", "unit-2")
    alike = prepare(specs, {}, OPTIONS)
    assert all(corpus.part("a", part) == alike.part("a", part) for part in PARTS)


@pytest.mark.parametrize("evaluations", [{"a": "a"}, {}], ids=["measured", "not measured"])
def test_selections_keep_their_documents_but_not_what_their_origin_holds_out(
    tmp_path: Path, evaluations: dict[str, str | SourceSpec]
) -> None:
    lines = texts("a")
    specs = [source(tmp_path, "a", lines), *(source(tmp_path, name, lines[:40]) for name in ("one", "two"))]
    options = {"a": OPTIONS} | dict.fromkeys(("one", "two"), SplitOptions(0.0, 0.0))
    same = {name: {"a"} for name in ("one", "two")}
    corpus = prepare(specs, evaluations, options, same_text=same, selected=("one", "two"))
    held_out = {one.text for one in corpus.documents("a", EVAL)}
    assert held_out & set(lines[:40])
    for name in ("one", "two"):
        assert [one.text for one in corpus.documents(name, "unit-0")] == [
            one for one in lines[:40] if one not in held_out
        ]
    report = {one.source: one for one in corpus.report.sources}["two"]
    assert report.duplicates == 0
    assert report.contaminated_by == {"a": len(held_out & set(lines[:40]))}


def test_files_that_changed_are_noticed(tmp_path: Path) -> None:
    spec = source(tmp_path, "a", texts("a"))
    corpus = prepare([spec], {}, OPTIONS)
    source(tmp_path, "a", texts("a", 59))
    with pytest.raises(SourceError, match="changed: 60 documents before, 59 now"):
        list(corpus.documents("a", "unit-0"))


def test_missing_files_are_told_before_anything_is_read(tmp_path: Path) -> None:
    progress = Recorder()
    gone = SourceSpec("b", (str(tmp_path / "gone.jsonl"),))
    with pytest.raises(MissingSource, match="'b'"):
        prepare([source(tmp_path, "a", texts("a")), gone], {}, OPTIONS, progress)
    assert progress.stages == []


@pytest.mark.parametrize(
    ("names", "evaluations", "options", "says"),
    [
        ([], {}, OPTIONS, "no source"),
        (["a", "a"], {}, OPTIONS, "twice: a"),
        (["a"], {"e": "b"}, OPTIONS, "no such source; there are: a"),
        (["a"], {"e": "a"}, SplitOptions(eval_fraction=0), "eval_fraction above 0"),
        (["a"], {"e": SourceSpec("a", ("x",))}, OPTIONS, "twice: a"),
        (["a", "b"], {}, {"a": OPTIONS}, "no split options for source 'b'"),
    ],
)
def test_wrong_names_are_told(names: list[str], evaluations: dict[str, Any], options: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        prepare([SourceSpec(name, ("x",)) for name in names], evaluations, options)


def test_unknown_sources_and_parts_are_told(tmp_path: Path) -> None:
    corpus = prepare([source(tmp_path, "a", texts("a"))], {}, OPTIONS)
    with pytest.raises(ConfigError, match="no source 'b'; there are: a"):
        corpus.part("b", EVAL)
    with pytest.raises(ConfigError, match="no part 'unit-7'"):
        corpus.documents("a", "unit-7")


def test_a_shared_corpus_of_real_text() -> None:
    root = Path(os.environ.get("CUVEE_SHARED", Path(__file__).parents[3] / "shared")) / "corpus"
    if not root.is_dir():
        pytest.skip(f"{root} is not there; set CUVEE_SHARED to a folder with corpus/NAME/train.jsonl.zst")
    names = ("chess", "gsm8k", "legal")
    specs = [SourceSpec(name, (str(root / name / "train.jsonl.zst"),), max_bytes=600_000) for name in names]
    own = SourceSpec("gsm8k-val", (str(root / "gsm8k" / "val.jsonl.zst"),))
    corpus = prepare(specs, {"own": own, **{name: name for name in names}}, OPTIONS)
    assert all(corpus.part(name, part).documents > 0 for name in names for part in PARTS)
    shares = {(entry.evaluation, entry.source): entry.ngram_share for entry in corpus.report.contamination}
    assert all(0 <= share <= 1 for share in shares.values())
    # Games share their openings; problems and statutes have nothing in common with them.
    assert shares["chess", "chess"] > 0.05
    assert shares["own", "legal"] == shares["chess", "legal"] == shares["legal", "gsm8k"] == 0
    # This corpus was cut by the value of its hashes, which must not upset the shares of the parts.
    for name in names:
        kept = next(entry.kept for entry in corpus.report.sources if entry.source == name)
        assert corpus.part(name, EVAL).documents < 0.3 * kept.documents


def test_a_source_or_an_evaluation_of_broken_records_says_so(tmp_path: Path) -> None:
    """Under ``allow_broken`` the wrong field would otherwise leave a source that is only said to be empty."""
    a = source(tmp_path, "a", texts("a"))
    wrong = source(tmp_path, "wrong", texts("w", 8), text_field="body", allow_broken=True)
    reason = (
        r"all its 8 documents are broken \(.*part\.jsonl\.zst:1: there is no field 'body' \(fields: text\)"
    )
    with pytest.raises(EmptySource, match=rf"source 'wrong' has 0 documents .*{reason}"):
        prepare([a, wrong], {}, OPTIONS)
    with pytest.raises(EmptySource, match=rf"evaluation 'ev' has no document in .*{reason}"):
        prepare([a], {"ev": wrong}, OPTIONS)
    empty = source(tmp_path, "empty", ["", " "])
    with pytest.raises(
        EmptySource, match=r"evaluation 'ev' has no document in .*all its 2 documents are empty"
    ):
        prepare([a], {"ev": empty}, OPTIONS)
