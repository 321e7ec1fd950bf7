"""Old runs over new sources: each change in closed form, round trips, what is never invented."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.lineage.carried import Carried, carry, statement, statement_on_references
from cuvee.lineage.descent import Descent
from cuvee.mixture.mixture import Mixture

TOKENS = {"books": 100, "code": 300, "web": 600, "forums": 150, "news": 450, "texts": 400, "all": 600}
PLAIN: dict[str, tuple[str, ...]] = {"books": (), "code": (), "web": ()}
SPLIT = PLAIN | {"forums": ("web",), "news": ("web",)}
MERGED = PLAIN | {"texts": ("books", "code")}


def worth(shares: dict[str, float], made_from: dict[str, tuple[str, ...]], *pool: str) -> Carried:
    return carry(Mixture.of(shares), Descent(made_from), TOKENS, pool)


def shares(found: Carried) -> dict[str, float]:
    assert found.mixture is not None
    return {name: found.mixture.share(name) for name in found.mixture.support}


def test_a_split_gives_parts_the_share_in_proportion_to_their_tokens() -> None:
    pool = ("books", "code", "forums", "news")
    found = worth({"books": 0.2, "code": 0.3, "web": 0.5}, SPLIT, *pool)
    assert (found.fate, found.moved) == ("exact", 0.0)
    assert shares(found) == {"books": 0.2, "code": 0.3, "forums": 0.125, "news": 0.375}
    assert found.mixture is not None and found.mixture.names == pool
    untouched = worth({"books": 0.25, "code": 0.75}, SPLIT, *pool)
    assert (untouched.fate, shares(untouched)) == ("exact", {"books": 0.25, "code": 0.75})


def test_a_drop_keeps_the_runs_without_the_source_and_only_these() -> None:
    assert worth({"code": 0.4, "web": 0.6}, PLAIN, "code", "web").fate == "exact"
    lost = worth({"books": 1e-12, "code": 0.4, "web": 0.6 - 1e-12}, PLAIN, "code", "web")
    assert (lost.fate, lost.mixture) == ("left out", None) and math.isnan(lost.moved)
    assert lost.reason == "read 'books', which may not be in the mixture any more"


def test_a_merge_sums_shares_and_is_exact_where_the_parts_were_read_in_proportion_to_their_tokens() -> None:
    exact = worth({"books": 0.125, "code": 0.375, "web": 0.5}, MERGED, "texts", "web")
    assert (exact.fate, shares(exact)) == ("exact", {"texts": 0.5, "web": 0.5})
    # Books and code hold 1 : 3: the run would have to read 0.75 - 0.5 of its tokens from code instead.
    other = worth({"books": 0.5, "code": 0.5}, MERGED, "texts", "web")
    assert (other.fate, shares(other)) == ("approximate", {"texts": 1.0})
    assert other.moved == pytest.approx(0.25)
    one = worth({"code": 0.8, "web": 0.2}, MERGED, "texts", "web")
    assert (one.fate, one.moved) == ("approximate", pytest.approx(0.8 * 100 / 400))
    assert worth({"web": 1.0}, MERGED, "texts", "web").fate == "exact"


def test_a_dropped_part_takes_the_runs_of_the_whole_with_it_and_no_others() -> None:
    pool = ("books", "code", "forums")
    assert worth({"web": 0.5, "code": 0.5}, SPLIT, *pool).fate == "left out"
    assert worth({"forums": 0.5, "code": 0.5}, SPLIT, *pool).fate == "exact"
    assert worth({"news": 0.5, "code": 0.5}, SPLIT, *pool).fate == "left out"


def test_a_run_made_between_two_changes_is_followed_from_there() -> None:
    """News is split again: a run over forums and news knows nothing of web."""
    tokens = TOKENS | {"local": 50, "world": 400}
    twice = Descent(SPLIT | {"local": ("news",), "world": ("news",)})
    pool = ("books", "code", "forums", "local", "world")
    old = carry(Mixture.of({"web": 1.0}), twice, tokens, pool)
    assert shares(old) == pytest.approx({"forums": 0.25, "local": 50 / 600, "world": 400 / 600})
    later = carry(Mixture.of({"forums": 0.1, "news": 0.9}), twice, tokens, pool)
    assert shares(later) == pytest.approx({"forums": 0.1, "local": 0.1, "world": 0.8})


def test_what_was_merged_and_then_divided_otherwise_is_left_out() -> None:
    recut = MERGED | {"old": ("texts",), "young": ("texts",)}
    tokens = TOKENS | {"old": 200, "young": 200}
    pool = ("web", "old", "young")
    assert carry(Mixture.of({"books": 0.25, "code": 0.75}), Descent(recut), tokens, pool).fate == "left out"
    assert carry(Mixture.of({"web": 1.0}), Descent(recut), tokens, pool).fate == "exact"
    whole = carry(Mixture.of({"texts": 0.5, "web": 0.5}), Descent(recut), tokens, pool)
    assert shares(whole) == {"web": 0.5, "old": 0.25, "young": 0.25}


WEIGHTS = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)


@given(WEIGHTS)
def test_split_and_merged_again_is_as_it_was(weights: list[int]) -> None:
    mixture = Mixture.normalised(dict(zip(PLAIN, weights, strict=True)))
    back = Descent(SPLIT | {"all": ("news", "forums")})
    found = carry(mixture, back, TOKENS, ("books", "code", "all"))
    assert found.fate == "exact" and found.mixture is not None
    assert found.mixture.shares == pytest.approx(mixture.shares, abs=1e-15)


@given(WEIGHTS, st.integers(1, 599))
def test_moved_is_half_the_difference_of_what_was_read_of_each_piece(weights: list[int], forums: int) -> None:
    """Against the plain definition, on a part that is merged with another source."""
    books, code, web = (weight / sum(weights) for weight in weights)
    tokens = TOKENS | {"forums": forums, "news": 600 - forums}
    descent = Descent(SPLIT | {"social": ("forums", "code")})
    found = carry(
        Mixture.normalised(dict(zip(PLAIN, weights, strict=True))),
        descent, tokens, ("books", "news", "social"),
    )  # fmt: skip
    was = {"forums": web * forums / 600, "code": code}
    both, held = sum(was.values()), {"forums": forums, "code": 300}
    moved = 0.5 * sum(abs(was[name] - both * held[name] / (forums + 300)) for name in was)
    assert found.moved == pytest.approx(moved, abs=1e-12)
    assert found.fate == ("exact" if moved <= 1e-6 else "approximate")
    assert shares(found) == pytest.approx(
        {n: s for n, s in {"books": books, "news": web - was["forums"], "social": both}.items() if s > 0}
    )


def test_a_run_is_the_same_to_the_bit_where_nothing_was_done_to_its_sources() -> None:
    mixture = Mixture.normalised({"books": 1, "code": 3, "web": 7})
    found = carry(mixture, Descent(PLAIN), TOKENS, tuple(PLAIN))
    assert found.mixture is not None and found.mixture.shares.tobytes() == mixture.shares.tobytes()


def test_parts_that_are_not_the_whole_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'web' .* have 599 tokens together, and it has 600"):
        carry(Mixture.of({"web": 1.0}), Descent(SPLIT), TOKENS | {"news": 449}, ("forums", "news"))


def test_it_is_said_in_sentences() -> None:
    runs = [
        worth(row, MERGED, "texts", "web")
        for row in ({"web": 1.0}, {"code": 1.0}, {"books": 0.5, "code": 0.5})
    ]
    runs.append(worth({"books": 1.0}, PLAIN, "code", "web"))
    assert statement(runs) == [
        "Of 4 trained mixtures, 1 is exact over the new sources, 2 approximate (no evidence) and 1 left out.",
        "2 approximate: they read what is now 'texts' in another proportion than its tokens.",
        "1 left out: it read 'books', which may not be in the mixture any more.",
    ]


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ((8, 0, 4), "8 references stay; 4 new ones must be trained."),
        (
            (8, 2, 1),
            "8 references stay, 2 of them as runs of the new sources; 1 new reference must be trained.",
        ),
        ((3, 1, 0), "3 references stay, 1 of them as a run of the new sources; 0 new ones must be trained."),
        ((1, 1, 2), "1 reference stays, as a run of the new sources; 2 new ones must be trained."),
    ],
)
def test_references_are_counted_in_english(counts: tuple[int, int, int], sentence: str) -> None:
    assert statement_on_references(*counts) == sentence
