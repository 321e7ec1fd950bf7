"""Runs carried over to other sources: each change in closed form, round trips, order, identity, errors."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cuvee.errors import ConfigError, MixtureError
from cuvee.mixture.mixture import Mixture
from cuvee.runs.catalogue import Catalogue, SourceContent
from cuvee.runs.lineage import trace
from cuvee.runs.observations import Observations
from cuvee.runs.remapped import Remapped, apply
from cuvee.runs.source_changes import (
    AddSource,
    Change,
    DropSource,
    MergeSources,
    SplitSource,
    changes_between,
)
from cuvee.runs.store import SourceRecord

CATALOGUE = Catalogue(
    (SourceContent("books", "hb", 100), SourceContent("code", "hc", 300), SourceContent("web", "hw", 600))
)
SPLIT_WEB = SplitSource("web", (SourceContent("forums", "hf", 150), SourceContent("news", "hn", 450)))
JOIN_WEB = MergeSources(("news", "forums"), "web", "hw")
MERGE = MergeSources(("books", "code"), "texts", "ht")


def rows(
    shares: list[list[float]], sources: tuple[str, ...] = CATALOGUE.names, **columns: Any
) -> Observations:
    """Trained references with these shares; the metrics of row r are r and r + 0.5."""
    count = len(shares)
    fields: dict[str, Any] = {
        "sources": sources,
        "metrics": ("web/bits_per_byte", "code/bits_per_byte"),
        "keys": tuple(f"run-{row}" for row in range(count)),
        "shares": np.array(shares).reshape(count, len(sources)),
        "params": np.full(count, 1000.0),
        "tokens": np.full(count, 5000.0),
        "kind": ("trained",) * count,
        "seed": np.arange(count),
        "estimand": ("equal_budget",) * count,
        "role": ("reference",) * count,
        "values": np.arange(count)[:, np.newaxis] + np.array([0.0, 0.5]),
        "flops": np.full(count, 1e9),
    }
    return Observations(**(fields | columns))


def by_name(observations: Observations) -> list[dict[str, float]]:
    names = observations.sources
    return [{n: s for n, s in zip(names, row, strict=True) if s} for row in observations.shares.tolist()]


# --- one change -------------------------------------------------------------------------------------


def test_an_added_source_has_share_zero_in_all_old_rows() -> None:
    old = rows([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
    found = apply(AddSource("math", "hm", 50), old, CATALOGUE)
    assert found.fates == ("exact", "exact")
    assert found.observations == replace(
        old, sources=("books", "code", "math", "web"), shares=np.array([[0.2, 0.3, 0, 0.5], [0, 1, 0, 0]])
    )
    assert found.lineage.affected == ("math",)


def test_a_split_gives_parts_the_share_in_proportion_to_their_tokens() -> None:
    found = apply(SPLIT_WEB, rows([[0.2, 0.3, 0.5], [0.25, 0.75, 0.0]]), CATALOGUE)
    assert found.fates == ("exact", "exact")
    assert found.observations.sources == ("books", "code", "forums", "news")
    assert found.observations.shares.tolist() == [[0.2, 0.3, 0.125, 0.375], [0.25, 0.75, 0.0, 0.0]]
    assert found.lineage.affected == ("forums", "news")


def test_a_split_is_approximate_for_rows_that_did_not_read_all_of_the_source() -> None:
    shares = [[0.2, 0.3, 0.5], [0.25, 0.75, 0.0]]
    for columns in ({"kind": ("merged",) * 2}, {"kind": ("ensembled",) * 2}, {"role": ("branch",) * 2}):
        found = apply(SPLIT_WEB, rows(shares, **columns), CATALOGUE)
        assert found.fates == ("approximate", "exact"), columns
        assert found.approximate.keys == ("run-0",)
        assert by_name(found.approximate) == [{"books": 0.2, "code": 0.3, "forums": 0.125, "news": 0.375}]
        assert "'web'" in found.reasons[0] and found.reasons[1] == ""


def test_who_knows_how_rows_were_drawn_can_say_so() -> None:
    old = rows([[0.2, 0.3, 0.5]] * 2, role=("branch", "reference"))
    assert apply(SPLIT_WEB, old, CATALOGUE, uniform=np.array([True, False])).fates == ("exact", "approximate")
    with pytest.raises(ConfigError, match="'run-0' is merged: it read no text"):
        apply(SPLIT_WEB, replace(old, kind=("merged",) * 2), CATALOGUE, uniform=np.array([True, False]))
    with pytest.raises(ConfigError, match="2 truth values"):
        apply(SPLIT_WEB, old, CATALOGUE, uniform=np.array([True]))


def test_a_drop_keeps_the_rows_without_the_source_and_only_these() -> None:
    old = rows([[0.2, 0.3, 0.5], [0.0, 0.4, 0.6], [1e-12, 0.4, 0.6 - 1e-12]])
    found = apply(DropSource("books"), old, CATALOGUE)
    assert found.fates == ("left out", "exact", "left out")
    assert found.observations == replace(
        old.select([1]), sources=("code", "web"), shares=np.array([[0.4, 0.6]])
    )
    assert not len(found.approximate)
    assert np.isnan(found.moved).tolist() == [True, False, True]
    assert found.statement.splitlines() == [
        "Of 3 runs: 1 exact over the new sources, 0 approximate, 2 left out.",
        "2 left out: they read 'books', of which not all text is there any more.",
    ]


def test_a_merge_sums_shares_and_is_exact_where_the_parts_were_read_in_proportion_to_their_tokens() -> None:
    # books : code hold 1 : 3. The last row would have to read 0.75 - 0.5 of its tokens from code instead.
    old = rows([[0.125, 0.375, 0.5], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]])
    found = apply(MERGE, old, CATALOGUE)
    assert found.fates == ("exact", "exact", "approximate")
    assert found.observations.sources == ("texts", "web")
    assert found.observations.shares.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert by_name(found.approximate) == [{"texts": 1.0}]
    assert found.moved == pytest.approx([0.0, 0.0, 0.25])
    assert "1 approximate: they read 'books', 'code' in another proportion" in found.statement


def test_a_merge_of_models_is_no_run_of_the_merged_source() -> None:
    old = rows([[0.125, 0.375, 0.5], [0.0, 0.0, 1.0]], kind=("merged",) * 2)
    assert apply(MERGE, old, CATALOGUE).fates == ("approximate", "exact")


def test_a_merge_with_text_that_nobody_read_moves_as_much_as_that_text_holds() -> None:
    changes: list[Change] = [
        AddSource("math", "hm", 100),
        MergeSources(("code", "math"), "reasoning", "hr"),
    ]
    found = apply(changes, rows([[0.0, 0.8, 0.2], [0.5, 0.0, 0.5]]), CATALOGUE)
    assert found.fates == ("approximate", "exact")
    assert found.moved == pytest.approx([0.8 * 100 / 400, 0.0])


def test_the_tolerance_is_for_rounded_tables() -> None:
    old = rows([[0.126, 0.374, 0.5]])
    assert apply(MERGE, old, CATALOGUE).fates == ("approximate",)
    assert apply(MERGE, old, CATALOGUE, tolerance=0.002).fates == ("exact",)


def test_a_dropped_part_takes_the_rows_of_the_whole_with_it() -> None:
    found = apply([SPLIT_WEB, DropSource("news")], rows([[0.2, 0.3, 0.5], [0.5, 0.5, 0.0]]), CATALOGUE)
    assert found.fates == ("left out", "exact")
    assert found.observations.sources == ("books", "code", "forums")


# --- several changes --------------------------------------------------------------------------------

SHARES = st.lists(
    st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any).map(lambda w: [x / sum(w) for x in w]),
    max_size=6,
)
KINDS = st.sampled_from(["trained", "merged", "ensembled", "imported"])


@st.composite
def mixed_rows(draw: st.DrawFn) -> Observations:
    shares = draw(SHARES)
    size = len(shares)
    kinds = draw(st.lists(KINDS, min_size=size, max_size=size))
    roles = draw(st.lists(st.sampled_from(["reference", "branch"]), min_size=size, max_size=size))
    return rows(shares, kind=kinds, role=roles)


@given(mixed_rows())
def test_split_then_merge_gives_the_old_rows_to_the_bit(old: Observations) -> None:
    found = apply([SPLIT_WEB, JOIN_WEB], old, CATALOGUE)
    assert found.observations == old
    assert found.lineage.after == CATALOGUE


@given(mixed_rows())
def test_merge_then_split_gives_the_old_rows_to_the_bit(old: Observations) -> None:
    back = SplitSource("texts", (SourceContent("books", "hb", 100), SourceContent("code", "hc", 300)))
    assert apply([MERGE, back], old, CATALOGUE).observations == old


@given(mixed_rows())
def test_a_source_cut_inside_a_merge_is_followed_through_it(old: Observations) -> None:
    """texts = books + code, taken apart again; then code is cut, and texts is made of three."""
    back = SplitSource("texts", (SourceContent("books", "hb", 100), SourceContent("code", "hc", 300)))
    cut = SplitSource("code", (SourceContent("py", "hp", 100), SourceContent("c", "hx", 200)))
    again = MergeSources(("py", "books", "c"), "texts", "ht")
    longer = apply([MERGE, back, cut, again], old, CATALOGUE)
    shorter = apply(MERGE, old, CATALOGUE)
    assert longer.lineage.after == shorter.lineage.after
    assert longer.observations == shorter.observations
    assert longer.approximate == shorter.approximate


@given(SHARES)
def test_one_after_the_other_gives_the_trained_rows_back_to_rounding(shares: list[list[float]]) -> None:
    old = rows(shares)
    there = apply(SPLIT_WEB, old, CATALOGUE)
    back = apply(JOIN_WEB, there.observations, there.lineage.after)
    assert back.observations.keys == old.keys
    np.testing.assert_allclose(back.observations.shares, old.shares, rtol=0, atol=1e-15)


@given(mixed_rows())
def test_no_change_changes_nothing(old: Observations) -> None:
    found = apply([], old, CATALOGUE)
    assert found.observations == old
    assert found.lineage.same == {name: name for name in CATALOGUE.names}
    assert found.lineage.affected == ()


INDEPENDENT: tuple[Change, ...] = (
    AddSource("math", "hm", 70),
    AddSource("law", "hl", 30),
    SPLIT_WEB,
    DropSource("books"),
)


@settings(max_examples=20)
@given(mixed_rows())
def test_the_order_of_independent_changes_does_not_matter(old: Observations) -> None:
    first = apply(INDEPENDENT, old, CATALOGUE)
    for order in itertools.permutations(INDEPENDENT):
        other = apply(order, old, CATALOGUE)
        assert other.observations == first.observations
        assert other.approximate == first.approximate
        assert (other.fates, other.reasons) == (first.fates, first.reasons)
        assert other.lineage.after == first.lineage.after


CHANGES = st.sampled_from([(SPLIT_WEB,), (MERGE,), (DropSource("code"),), INDEPENDENT, (SPLIT_WEB, MERGE)])


@given(mixed_rows(), CHANGES)
def test_every_row_has_one_fate_and_stays_a_mixture(old: Observations, changes: tuple[Change, ...]) -> None:
    found = apply(changes, old, CATALOGUE)
    fates = dict(zip(old.keys, found.fates, strict=True))
    assert [key for key in old.keys if fates[key] == "exact"] == list(found.observations.keys)
    assert [key for key in old.keys if fates[key] == "approximate"] == list(found.approximate.keys)
    for part in (found.observations, found.approximate):
        assert part.sources == found.lineage.after.names
        np.testing.assert_allclose(part.shares.sum(axis=1), 1.0, rtol=0, atol=1e-12)
        assert (part.shares >= 0.0).all()
        index = [old.keys.index(key) for key in part.keys]
        # Only the shares change: metrics, scale, seed, cost are those of the old row.
        assert replace(part, sources=old.sources, shares=old.shares[index]) == old.select(index)


@given(mixed_rows(), CHANGES)
def test_a_change_leaves_rows_without_its_source_alone(
    old: Observations, changes: tuple[Change, ...]
) -> None:
    found = apply(changes, old, CATALOGUE)
    same = found.lineage.same
    for row, shares in enumerate(by_name(old)):
        if set(shares) <= set(same):
            assert found.fates[row] == "exact" and found.moved[row] == 0.0
            new = by_name(found.observations)[found.observations.keys.index(old.keys[row])]
            assert new == {same[name]: share for name, share in shares.items()}


@given(SHARES, st.integers(1, 599), st.integers(1, 299))
def test_moved_is_half_the_difference_of_what_was_read_of_each_piece(
    shares: list[list[float]], forums: int, python: int
) -> None:
    """Against the plain definition, piece by piece, on a re-cut that mixes parts of two sources."""
    changes: list[Change] = [
        SplitSource(
            "web", (SourceContent("forums", "hf", forums), SourceContent("news", "hn", 600 - forums))
        ),
        SplitSource("code", (SourceContent("py", "hp", python), SourceContent("c", "hx", 300 - python))),
        MergeSources(("forums", "py"), "social", "hs"),
    ]
    found = apply(changes, rows(shares), CATALOGUE)
    for row, (books, code, web) in enumerate(shares):
        was = {"books": books, "py": code * python / 300, "c": code * (1 - python / 300)}
        was |= {"forums": web * forums / 600, "news": web * (1 - forums / 600)}
        social = was["forums"] + was["py"]
        whole = forums + python
        moved = 0.5 * sum(
            abs(was[name] - social * tokens / whole) for name, tokens in (("forums", forums), ("py", python))
        )
        assert found.moved[row] == pytest.approx(moved, abs=1e-12)
        assert found.fates[row] == ("exact" if found.moved[row] <= 1e-6 else "approximate")


# --- identity ---------------------------------------------------------------------------------------


def renamed(catalogue: Catalogue, names: dict[str, str]) -> Catalogue:
    return Catalogue(tuple(replace(s, name=names.get(s.name, s.name)) for s in catalogue.sources))


@given(mixed_rows())
def test_a_source_of_another_name_and_the_same_content_is_the_same(old: Observations) -> None:
    new = renamed(CATALOGUE, {"books": "web", "web": "books", "code": "source code"})
    found = apply(changes_between(CATALOGUE, new), old, CATALOGUE)
    assert found.lineage.after == new
    assert found.fates == ("exact",) * len(old)
    assert found.observations.sources == ("books", "source code", "web")
    assert np.array_equal(found.observations.shares, old.shares[:, [2, 1, 0]])
    assert "Source 'code' is now called 'source code'." in found.statement


def test_a_source_of_the_same_name_and_other_content_is_another_one() -> None:
    new = Catalogue((*CATALOGUE.sources[:2], SourceContent("web", "other", 700)))
    found = apply(changes_between(CATALOGUE, new), rows([[0.2, 0.3, 0.5], [0.5, 0.5, 0.0]]), CATALOGUE)
    assert found.fates == ("left out", "exact")
    assert found.lineage.affected == ("web",)
    assert "Source 'web' has other text than the runs under this name read" in found.statement


def test_equal_catalogues_have_no_changes_between_them() -> None:
    assert changes_between(CATALOGUE, Catalogue(tuple(reversed(CATALOGUE.sources)))) == ()


def test_a_catalogue_of_prepared_sources() -> None:
    records = [SourceRecord("web", "hw", 7, 600, 2400), SourceRecord("code", "hc", 3, 300, 900)]
    assert Catalogue.of(records) == Catalogue(CATALOGUE.sources[1:])


def test_a_source_dropped_and_added_again_keeps_its_runs() -> None:
    old = rows([[0.2, 0.3, 0.5]])
    found = apply([DropSource("web"), AddSource("web", "hw", 600)], old, CATALOGUE)
    assert found.observations == old


def test_a_decision_is_carried_over_the_sources_that_stay() -> None:
    lineage = trace([SPLIT_WEB, DropSource("code"), AddSource("program", "hc", 300)], CATALOGUE)
    decision = Mixture.of({"web": 0.5, "books": 0.125, "code": 0.375})
    assert lineage.carry(decision).as_dict() == {"books": 0.25, "program": 0.75}
    assert lineage.affected == ("forums", "news")
    with pytest.raises(ConfigError, match="nothing is carried"):
        lineage.carry(Mixture.of({"web": 1.0}))
    with pytest.raises(MixtureError, match="maths"):
        lineage.carry(Mixture.of({"maths": 1.0}))


def test_a_column_that_is_missing_is_a_share_of_zero() -> None:
    old = rows([[0.25, 0.75]], sources=("web", "code"))
    found = apply(SPLIT_WEB, old, CATALOGUE)
    assert by_name(found.observations) == [{"code": 0.75, "forums": 0.0625, "news": 0.1875}]


def test_many_reasons_are_told_in_few_lines() -> None:
    names = tuple(f"s{index:02d}" for index in range(12))
    catalogue = Catalogue(tuple(SourceContent(name, f"h{name}", 10) for name in (*names, "rest")))
    old = rows(np.eye(13).tolist(), sources=catalogue.names)
    found: Remapped = apply([DropSource(name) for name in names], old, catalogue)
    lines = found.statement.splitlines()
    assert len(lines) == 10
    assert lines[-1] == "4 more for the like reasons about other sources."


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (DropSource("math"), "cannot drop source 'math'; there are: books, code, web"),
        (SplitSource("math", SPLIT_WEB.parts), "cannot split source 'math'"),
        (MergeSources(("web", "math"), "all", "ha"), "cannot merge source 'math'"),
        (AddSource("web", "new", 5), "the name 'web' is taken"),
        (MergeSources(("books", "code"), "web", "ht"), "the name 'web' is taken"),
        (
            SplitSource("web", (SourceContent("code", "h1", 100), SourceContent("x", "h2", 500))),
            "the name 'code' is taken",
        ),
        (
            SplitSource("web", (SourceContent("x", "h1", 100), SourceContent("y", "h2", 400))),
            "the parts of source 'web' hold 500 tokens together, the source 600",
        ),
        (AddSource("crawl", "hw", 600), "the content of source 'crawl' .* is already there as 'web'"),
        ([DropSource("web"), AddSource("web", "hw", 599)], "given 599 tokens, but content hw holds 600"),
        ([SPLIT_WEB, AddSource("web", "hw", 600)], "already there as 'forums', 'news'"),
        ([SPLIT_WEB, replace(JOIN_WEB, content_hash="new")], "are the content hw again, not new"),
        (replace(MERGE, content_hash="hw"), "cannot have the content hash hw"),
        (
            [MERGE, SplitSource("texts", (SourceContent("a", "h1", 200), SourceContent("b", "h2", 200)))],
            "cannot be followed into 'a', 'b'.* one after the other",
        ),
        (
            SplitSource("web", (SourceContent("a", "hb", 100), SourceContent("b", "h2", 500))),
            "a part is content known from elsewhere",
        ),
        ([DropSource(name) for name in CATALOGUE.names], "leave no source"),
        (["web"], "'web' is no change of sources"),
    ],
)
def test_changes_that_cannot_be_are_refused(changes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply(changes, rows([[0.2, 0.3, 0.5]]), CATALOGUE)


def test_values_are_valid_from_birth() -> None:
    with pytest.raises(ConfigError, match="split into 1; name at least two parts"):
        SplitSource("web", SPLIT_WEB.parts[:1])
    with pytest.raises(ConfigError, match="parts of source 'web': source 'forums' is named twice"):
        SplitSource("web", (SPLIT_WEB.parts[0], replace(SPLIT_WEB.parts[1], name="forums")))
    with pytest.raises(ConfigError, match="'forums' and 'news' have the same content"):
        SplitSource("web", (SPLIT_WEB.parts[0], replace(SPLIT_WEB.parts[1], content_hash="hf")))
    with pytest.raises(ConfigError, match="two or more, each once"):
        MergeSources(("web", "web"), "all", "ha")
    with pytest.raises(ConfigError, match="must be a sequence, not 'web'"):
        MergeSources("web", "all", "ha")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'web' has 0 tokens"):
        AddSource("web", "hw", 0)
    with pytest.raises(ConfigError, match="inf tokens"):
        AddSource("web", "hw", float("inf"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="empty content hash"):
        AddSource("web", "", 5)
    with pytest.raises(ConfigError, match="empty name"):
        AddSource("", "hw", 5)
    with pytest.raises(ConfigError, match="at least one source"):
        Catalogue(())


def test_observations_of_an_unknown_source_are_refused() -> None:
    with pytest.raises(ConfigError, match="source 'math', which is not in the catalogue"):
        apply([], rows([[1.0]], sources=("math",)), CATALOGUE)


@given(st.permutations(CATALOGUE.names), SHARES)
def test_the_order_of_columns_does_not_matter(order: list[str], shares: list[list[float]]) -> None:
    old = rows(shares)
    assume(len(old))
    columns = [CATALOGUE.names.index(name) for name in order]
    other = replace(old, sources=tuple(order), shares=old.shares[:, columns])
    one, two = (apply((SPLIT_WEB, MERGE), each, CATALOGUE) for each in (old, other))
    assert one.fates == two.fates
    np.testing.assert_allclose(one.observations.shares, two.observations.shares, rtol=0, atol=1e-15)
