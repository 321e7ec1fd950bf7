"""Sources held at fixed ratios: mixtures, regions and runs there and back, and what must be run."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuvee.errors import ConfigError, InfeasibleRegion, MixtureError
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.runs.catalogue import Catalogue, SourceContent
from cuvee.runs.evidence_gap import what_must_run
from cuvee.runs.lineage import trace
from cuvee.runs.observations import Observations
from cuvee.runs.reduced_space import ReducedSpace
from cuvee.runs.remapped import apply
from cuvee.runs.source_changes import AddSource, Change, DropSource, MergeSources, SplitSource

SOURCES = ("a", "b", "c", "math")
SPACE = ReducedSpace(SOURCES, Mixture.of({"a": 0.5, "b": 0.3, "c": 0.2}))


def rows(sources: tuple[str, ...], shares: list[list[float]], kind: str = "trained") -> Observations:
    count = len(shares)
    return Observations(
        sources=sources,
        metrics=("bits_per_byte",),
        keys=tuple(f"run-{row}" for row in range(count)),
        shares=np.array(shares).reshape(count, len(sources)),
        params=np.full(count, 1000.0),
        tokens=np.full(count, 5000.0),
        kind=(kind,) * count,
        seed=np.zeros(count, dtype=np.int64),
        estimand=("equal_budget",) * count,
        role=("reference",) * count,
        values=np.arange(float(count))[:, np.newaxis],
        flops=np.full(count, 1e9),
    )


@st.composite
def spaces(draw: st.DrawFn) -> ReducedSpace:
    sources = [f"s{index}" for index in range(draw(st.integers(1, 6)))]
    held = draw(st.lists(st.sampled_from(sources), min_size=1, unique=True))
    weights = draw(st.lists(st.integers(0, 9), min_size=len(held), max_size=len(held)).filter(any))
    existing = Mixture.normalised(dict(zip(held, map(float, weights), strict=True)))
    return ReducedSpace(tuple(sources), existing)


def mixtures(names: tuple[str, ...]) -> st.SearchStrategy[Mixture]:
    weights = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=len(names), max_size=len(names))
    return weights.filter(lambda w: sum(w) > 1e-3).map(
        lambda w: Mixture.normalised(dict(zip(names, w, strict=True)))
    )


# --- mixtures ---------------------------------------------------------------------------------------


def test_the_virtual_source_shares_out_its_share() -> None:
    assert SPACE.names == ("existing", "math")
    wide = SPACE.expand(Mixture.of({"existing": 0.5, "math": 0.5}))
    assert wide.as_dict() == {"a": 0.25, "b": 0.15, "c": 0.1, "math": 0.5}
    assert SPACE.collapse(wide).as_dict() == {"existing": 0.5, "math": 0.5}


@given(st.data())
def test_collapse_and_expand_are_inverse(data: st.DataObject) -> None:
    space = data.draw(spaces())
    reduced = data.draw(mixtures(space.names))
    wide = space.expand(reduced)
    assert wide.names == space.sources
    again = space.collapse(wide)
    np.testing.assert_allclose(again.shares, reduced.shares, rtol=0, atol=1e-15)
    np.testing.assert_allclose(space.expand(again).shares, wide.shares, rtol=0, atol=1e-15)


def test_a_mixture_off_the_ratios_is_refused_beyond_the_tolerance() -> None:
    # The ratios would give a 0.4, b 0.24, c 0.16: a tenth of the tokens has moved from a to b.
    other = Mixture.of({"a": 0.3, "b": 0.34, "c": 0.16, "math": 0.2})
    with pytest.raises(MixtureError, match=r"ratios of 'existing': 0.1 of its tokens would move"):
        SPACE.collapse(other, tolerance=0.0999)
    assert SPACE.collapse(other, tolerance=0.1001).share("existing") == pytest.approx(0.8)


def test_a_space_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(MixtureError, match="holds source 'web', which is not there"):
        ReducedSpace(SOURCES, Mixture.of({"web": 1.0}))
    with pytest.raises(MixtureError, match="needs a name of its own, not 'math'"):
        replace(SPACE, name="math")
    with pytest.raises(MixtureError, match="'d' would be dropped"):
        SPACE.collapse(Mixture.of({"d": 1.0}))
    with pytest.raises(MixtureError, match="'a' would be dropped"):
        SPACE.expand(Mixture.of({"a": 1.0}))


# --- regions ----------------------------------------------------------------------------------------


def test_the_bounds_of_the_virtual_source_are_the_tightest_of_its_members() -> None:
    full = Region.bounded(SOURCES, {"b": 0.06, "math": 0.1}, {"a": 0.4, "c": 0.18})
    # b needs 0.06 / 0.3; a allows 0.4 / 0.5, c allows 0.18 / 0.2.
    assert SPACE.region(full) == Region.bounded(
        SPACE.names, {"existing": 0.06 / 0.3, "math": 0.1}, {"existing": 0.8}
    )


def test_the_epoch_cap_of_the_virtual_source_is_the_tightest_of_its_members() -> None:
    available = {"a": 100, "b": 90, "c": 50, "math": 200}
    full = Region.simplex(SOURCES).with_epoch_caps(available, total_tokens=800, max_epochs=4)
    reduced = SPACE.region(full)
    # Shares of at most 4 n_i / 800 over the ratios: 0.5 / 0.5, 0.45 / 0.3, 0.25 / 0.2; math has 1.
    assert reduced.upper.tolist() == [1.0, 1.0]
    fewer = SPACE.region(
        Region.simplex(SOURCES).with_epoch_caps(available, 1000, {"a": 4, "c": 2, "math": 3})
    )
    assert fewer.upper == pytest.approx([min(0.4 / 0.5, 0.1 / 0.2), 0.6])
    widest = SPACE.expand(fewer.linear_minimum(np.array([-1.0, 0.0])))
    assert widest.epochs(1000, available)["c"] == pytest.approx(2.0)


@st.composite
def problems(draw: st.DrawFn) -> tuple[ReducedSpace, Region]:
    """A space, and a region with bounds and ratios around a mixture that keeps the ratios of the space."""
    space = draw(spaces())
    inside = space.expand(draw(mixtures(space.names)))
    closeness = st.sampled_from([0.0, 0.0, 0.3, 0.8])
    lower = np.array([share * draw(closeness) for share in inside.shares])
    upper = np.array([1.0 - (1.0 - share) * draw(closeness) for share in inside.shares])
    region = Region(space.sources, lower, upper)
    rest = [name for name in inside.support if inside.share(name) > 1e-3]
    while len(rest) > 1 and draw(st.booleans()):
        group = [rest.pop() for _ in range(draw(st.integers(1, min(3, len(rest)))))]
        region = region.with_ratio({name: 5.0 * inside.share(name) for name in group})
    return space, region


@given(problems(), st.data())
def test_a_reduced_mixture_is_allowed_exactly_when_its_expansion_is(
    problem: tuple[ReducedSpace, Region], data: st.DataObject
) -> None:
    space, full = problem
    reduced = space.region(full)
    for mixture in reduced.sample(8, np.random.default_rng(0)):
        assert full.contains(space.expand(mixture), tolerance=1e-8)
    # The other way: what the full region allows of the mixtures that keep the ratios.
    anywhere = data.draw(mixtures(space.names))
    nearest = reduced.project(anywhere.shares)
    for step in (0.0, 0.3, 0.9, 1.0):
        tried = nearest.blend(anywhere, step)
        allowed = full.contains(space.expand(tried), tolerance=1e-8)
        # Between the two tolerances lies what only rounding decides: the smallest ratio is above 1 / 60.
        assert allowed or not reduced.contains(tried, tolerance=1e-9)
        assert not allowed or reduced.contains(tried, tolerance=1e-5)


@given(problems(), st.data())
def test_the_best_reduced_mixture_is_the_best_mixture_that_keeps_the_ratios(
    problem: tuple[ReducedSpace, Region], data: st.DataObject
) -> None:
    """Against `Region.with_ratio` on the full region without other ratios, which says the same."""
    space, full = problem[0], replace(problem[1], ratios=())
    held = {name: part for name, part in space.existing.as_dict().items() if part > 0.0}
    zero = [space.existing.as_dict().get(name) == 0.0 for name in full.names]
    full = Region(full.names, full.lower, np.where(zero, 0.0, full.upper))
    cost = np.array(data.draw(st.lists(st.floats(-1, 1), min_size=len(full.names), max_size=len(full.names))))
    best = full.with_ratio(held).linear_minimum(cost)
    corners = [space.expand(Mixture.vertex(space.names, name)) for name in space.names]
    wide = np.array([corner.reindexed(full.names).shares for corner in corners])
    found = space.expand(space.region(full).linear_minimum(wide @ cost))
    assert cost @ found.shares == pytest.approx(cost @ best.shares, abs=1e-8)


def test_fixed_ratios_stay_as_ratios_to_the_virtual_source() -> None:
    names = (*SOURCES, "law", "code")
    space = ReducedSpace(names, SPACE.existing)
    full = Region.simplex(names).with_ratio({"a": 2.0, "math": 1.0}).with_ratio({"b": 3.0, "law": 6.0})
    # a is half of existing, so that math is a quarter of it; b is 0.3 of it, so that law is 0.6.
    assert space.region(full) == Region.simplex(space.names).with_ratio(
        {"existing": 1.0, "math": 0.25, "law": 6 * (0.3 / 3)}
    )
    alone = Region.simplex(names).with_ratio({"law": 1.0, "code": 2.0})
    assert space.region(alone) == Region.simplex(space.names).with_ratio({"law": 1.0, "code": 2.0})
    inner = Region.simplex(names).with_ratio({"a": 5.0, "b": 3.0})
    assert space.region(inner) == Region.simplex(space.names)


def test_regions_that_no_reduced_mixture_meets_are_refused() -> None:
    with pytest.raises(
        InfeasibleRegion, match="a, b have another fixed ratio in the region than in 'existing'"
    ):
        SPACE.region(Region.simplex(SOURCES).with_ratio({"a": 1.0, "b": 1.0}))
    without = ReducedSpace(SOURCES, Mixture.of({"a": 0.5, "b": 0.5, "c": 0.0}))
    with pytest.raises(InfeasibleRegion, match=r"c must have at least 0\.1, but 'existing' holds it at 0"):
        without.region(Region.bounded(SOURCES, {"c": 0.1}))
    with pytest.raises(InfeasibleRegion, match="ties math to c, which 'existing' holds at 0"):
        without.region(Region.simplex(SOURCES).with_ratio({"c": 1.0, "math": 1.0}))
    with pytest.raises(InfeasibleRegion, match="existing"):
        SPACE.region(Region.bounded(SOURCES, {"b": 0.3}, {"a": 0.2}))
    with pytest.raises(MixtureError, match="the region is over a, b"):
        SPACE.region(Region.simplex(("a", "b")))


# --- observations -----------------------------------------------------------------------------------


def test_rows_that_keep_the_ratios_are_kept_and_the_others_counted() -> None:
    old = rows(SOURCES, [[0.5, 0.3, 0.2, 0.0], [0.25, 0.25, 0.0, 0.5], [0, 0, 0, 1], [0.05, 0.03, 0.02, 0.9]])
    for kind in ("trained", "merged"):
        found = SPACE.collapse_observations(replace(old, kind=(kind,) * 4))
        assert found.exact.tolist() == [True, False, True, True]
        assert found.left_out == 1
        assert found.observations.sources == ("existing", "math")
        np.testing.assert_allclose(
            found.observations.shares, np.array([[1, 0], [0, 1], [0.1, 0.9]]), atol=1e-15
        )
        wide = replace(found.observations, sources=old.sources, shares=old.shares[found.exact])
        assert wide == replace(old, kind=(kind,) * 4).select(found.exact)


def test_the_tolerance_of_rows_is_in_total_variation() -> None:
    old = rows(SOURCES, [[0.52, 0.28, 0.2, 0.0]])
    assert SPACE.collapse_observations(old, tolerance=0.019).left_out == 1
    assert SPACE.collapse_observations(old, tolerance=0.021).left_out == 0


@given(st.data())
def test_a_row_collapses_as_its_mixture_does(data: st.DataObject) -> None:
    space = data.draw(spaces())
    reduced = data.draw(st.lists(mixtures(space.names), min_size=1, max_size=4))
    old = rows(space.sources, [space.expand(mixture).shares.tolist() for mixture in reduced])
    found = space.collapse_observations(old)
    assert found.left_out == 0
    for row, mixture in enumerate(reduced):
        np.testing.assert_allclose(found.observations.shares[row], mixture.shares, rtol=0, atol=1e-15)


def test_columns_may_be_missing_and_unknown_ones_are_refused() -> None:
    found = SPACE.collapse_observations(rows(("c", "b", "a"), [[0.2, 0.3, 0.5]]))
    assert found.observations.shares.tolist() == [[1.0, 0.0]]
    with pytest.raises(ConfigError, match="source 'web'; the reduced space is over a, b, c, math"):
        SPACE.collapse_observations(rows(("web",), [[1.0]]))


# --- what must be run -------------------------------------------------------------------------------

CATALOGUE = Catalogue(tuple(SourceContent(name, f"h{name}", 100) for name in ("a", "b", "c")))
OLD = rows(("a", "b", "c"), [[0.5, 0.3, 0.2], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0]])
DECISION = Mixture.of({"a": 0.5, "b": 0.3, "c": 0.2})


def test_an_added_source_must_be_run_and_the_old_decision_stays_valid() -> None:
    found = apply(AddSource("math", "hm", 100), OLD, CATALOGUE)
    space = ReducedSpace(found.lineage.after.names, found.lineage.carry(DECISION))
    gap = what_must_run(space, Region.simplex(SOURCES), found.observations, 8, seed=3)
    assert gap.evidence.observations.keys == ("run-0",)
    # The only run lies at math = 0: what lies beyond the margin is the rest of the line.
    assert gap.missing == pytest.approx(0.95, abs=0.05)
    assert len(gap.design) == 8
    assert all(mixture.share("math") > 0.05 for mixture in gap.design)
    # Spread evenly: no eighth of the line is two gaps away from a run.
    math = np.sort([mixture.share("math") for mixture in gap.design])
    assert np.diff([0.05, *math, 1.0]).max() < 0.3
    assert gap.runs == tuple(SPACE.expand(mixture) for mixture in gap.design)
    assert gap.statement.splitlines() == [
        "'existing' stands for a 0.5, b 0.3, c 0.2.",
        "1 of 5 runs stay valid over existing, math; 4 have other ratios within 'existing' and are left out.",
        f"About {gap.missing:.0%} of the allowed mixtures lie outside the runs, by more than 0.05 of their"
        " tokens.",
        "'existing' has shares from 1 to 1 in the runs; 0 to 1 are allowed.",
        "'math' has shares from 0 to 0 in the runs; 0 to 1 are allowed.",
        "Must be run: the 8 mixtures of the design.",
    ]


def test_the_parts_of_a_split_must_be_run_off_the_line_of_their_old_ratio() -> None:
    parts = (SourceContent("c1", "h1", 50), SourceContent("c2", "h2", 50))
    found = apply(SplitSource("c", parts), OLD, CATALOGUE)
    space = ReducedSpace(found.lineage.after.names, found.lineage.carry(DECISION))
    assert space.names == ("existing", "c1", "c2")
    gap = what_must_run(space, Region.simplex(space.sources), found.observations, 6, seed=0)
    # The runs span the segment from existing to c1 = c2; the distance to it is |c1 - c2| / 2.
    assert sorted(gap.evidence.observations.keys) == ["run-0", "run-3"]
    for mixture in gap.design:
        assert abs(mixture.share("c1") - mixture.share("c2")) > 0.1
    # Runs reach existing = 1 only by run-0, whose share is 0.8: corner and segment both count.
    assert 0.6 < gap.missing < 0.95


def test_after_a_drop_everything_is_held_and_one_run_says_all() -> None:
    found = apply(DropSource("c"), OLD, CATALOGUE)
    space = ReducedSpace(found.lineage.after.names, found.lineage.carry(DECISION))
    assert space.names == ("existing",)
    gap = what_must_run(space, Region.simplex(("a", "b")), found.observations, 4, seed=0)
    assert (gap.missing, len(gap.design)) == (1.0, 1)
    assert gap.runs[0].as_dict() == pytest.approx({"a": 0.625, "b": 0.375})
    measured = rows(("a", "b"), [[0.625, 0.375]])
    done = what_must_run(space, Region.simplex(("a", "b")), measured, 4, seed=0)
    assert (done.missing, done.design) == (0.0, ())
    assert done.statement.endswith("Nothing must be run.")


def test_merged_sources_that_were_read_alike_need_nothing() -> None:
    old = rows(("a", "b", "c"), [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    found = apply(MergeSources(("a", "b"), "ab", "hab"), old, CATALOGUE)
    space = ReducedSpace(("ab", "c"), Mixture.of({"c": 1.0}))
    gap = what_must_run(space, Region.simplex(("ab", "c")), found.observations, 4, seed=0)
    assert (gap.missing, gap.design) == (0.0, ())


def test_a_design_lies_in_the_region_and_is_the_same_for_the_same_seed() -> None:
    region = Region.bounded(SOURCES, {"math": 0.05}, {"math": 0.4, "a": 0.45})
    evidence = rows(SOURCES, [[0.475, 0.285, 0.19, 0.05], [0.4, 0.24, 0.16, 0.2]])
    first, second = (what_must_run(SPACE, region, evidence, 6, seed=7) for _ in range(2))
    assert first.design == second.design and first.missing == second.missing
    assert len(first.design) == 6
    for run in first.runs:
        assert region.contains(run)
        # Runs with math from 0.05 to 0.2 are there; with the margin up to 0.25.
        assert run.share("math") > 0.25
    assert first.missing == pytest.approx(0.15 / 0.3, abs=0.1)


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 6))
def test_blends_of_runs_are_covered_and_the_design_is_not(seed: int, size: int, count: int) -> None:
    sources = tuple(f"s{index}" for index in range(size + 1))
    space = ReducedSpace(sources, Mixture.vertex((sources[0],), sources[0]))
    rng = np.random.default_rng(seed)
    points = rng.dirichlet(np.ones(size + 1), size=count)
    gap = what_must_run(space, Region.simplex(sources), rows(sources, points.tolist()), 3, seed=seed)
    every = [*points.tolist(), *(rng.dirichlet(np.ones(count), size=3) @ points if count else [])]
    blends = rows(sources, [list(point) for point in every])
    for mixture in gap.design:
        shares = mixture.shares
        for point in blends.shares:
            assert 0.5 * np.abs(shares - point).sum() > gap.margin
    if not count:
        assert gap.missing == 1.0 and len(gap.design) == 3
    whole = rows(sources, np.eye(size + 1).tolist())
    assert what_must_run(space, Region.simplex(sources), whole, 3, seed=seed).design == ()


def test_designs_that_make_no_sense_are_refused() -> None:
    region = Region.simplex(SOURCES)
    empty = Observations.empty(SOURCES)
    none = what_must_run(SPACE, region, empty, 0, seed=0)
    assert (none.missing, none.design) == (1.0, ())
    assert none.statement.endswith("none was asked for.")
    with pytest.raises(ConfigError, match="-1 runs"):
        what_must_run(SPACE, region, empty, -1, seed=0)
    with pytest.raises(ConfigError, match="margin of 1"):
        what_must_run(SPACE, region, empty, 4, seed=0, margin=1.0)


def test_a_study_grows_by_the_way_of_reuse() -> None:
    """Two sources are renamed and one is added: what was known stays, and what is new is asked for."""
    changes: list[Change] = [
        DropSource("a"),
        DropSource("b"),
        AddSource("b", "ha", 100),
        AddSource("a", "hb", 100),
    ]
    lineage = trace([*changes, AddSource("math", "hm", 100)], CATALOGUE)
    space = ReducedSpace(lineage.after.names, lineage.carry(DECISION))
    assert space.existing.as_dict() == {"a": 0.3, "b": 0.5, "c": 0.2}
    assert space.affected == lineage.affected == ("math",)
