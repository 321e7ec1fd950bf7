"""Study files after sources were split, dropped or merged: what they say, what stays, what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest

from cuvee.errors import ConfigError
from cuvee.flows.change.changed_study import changed
from cuvee.flows.change.source_change import Change, Drop, Merge, Split
from cuvee.mixture.mixture import Mixture
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.study_file import COPIES, StudyFile
from cuvee.study.file.template import commented_study
from cuvee.study.plan.mixtures import over_pool

PLAIN = (
    "schema: 1\nsources:  # ours\n  web: web  # all of it\n  code: [c, d]\n  books: {paths: b, tokens: 500}\n"
)
SPLIT = Split("web", {"en": ("web/en",), "de": ("web/de", "more")})
TOKENS = {"web": 1000, "code": 300, "books": 50, "en": 750, "de": 250, "both": 350}


def counts(config: StudyConfig) -> dict[str, int]:
    return {name: TOKENS[name] for name in config.sources}


def study(folder: Path, text: str = PLAIN) -> StudyFile:
    path = folder / "study.yaml"
    path.write_bytes(text.encode())
    return StudyFile.read(path)


def after(file: StudyFile, *changes: Change) -> StudyConfig:
    """The study that the file says once the changes are written into it."""
    for change in changes:
        file = changed(StudyFile.read(file.path), change, counts)
        assert file.config == StudyConfig.parse(dict(file.raw), file.path.parent)
        file.write()
    return StudyConfig.load(file.path)


def test_a_split_keeps_the_source_out_of_the_pool_and_shares_out_its_weight(tmp_path: Path) -> None:
    config = after(study(tmp_path), SPLIT)
    assert config.pool_sources == ("code", "books", "en", "de")
    assert config.seed_sources == ("web", "code", "books")
    assert config.sources["de"].paths == (str(tmp_path / "web/de"), str(tmp_path / "more"))
    assert config.sources["en"].made_from == ("web",) and config.seen_by_seed("en")
    assert list(config.evaluation_sets) == ["code", "books", "en", "de"]
    assert config.target.weights == {"code": 1.0, "books": 1.0, "en": 0.75, "de": 0.25}
    assert config.own_columns == (0, 1, 2, 3)


def test_weights_that_the_file_says_are_shared_out_too_and_nothing_else_is_touched(tmp_path: Path) -> None:
    weights = "target:\n  weights:\n    web: 2  # most\n    books: 1  # some\n"
    config = after(study(tmp_path, PLAIN + weights), SPLIT)
    assert config.target.weights == {"books": 1.0, "en": 1.5, "de": 0.5}
    assert "books: 1  # some" in (tmp_path / "study.yaml").read_text()
    without = after(study(tmp_path, PLAIN + "target: {weights: {books: 1}}\n"), SPLIT)
    assert without.target.weights == {"books": 1.0}


def test_an_evaluation_of_the_whole_that_has_a_name_stays(tmp_path: Path) -> None:
    config = after(study(tmp_path, PLAIN + "evaluations: {all of it: {source: web}}\n"), SPLIT)
    assert config.target.weights == {"code": 1.0, "books": 1.0, "all of it": 1.0, "en": 0.0, "de": 0.0}
    assert config.own_sources["all of it"] is None


def test_parts_are_read_as_the_whole_is_and_share_its_tokens(tmp_path: Path) -> None:
    text = "schema: 1\nsources:\n  web: {paths: w, text_field: data.text, tokens: 2e9, units: 3}\n  code: c\n"
    config = after(study(tmp_path, text), SPLIT)
    en, de = config.sources["en"], config.sources["de"]
    assert (en.text_field, en.tokens, de.tokens, en.units) == ("data.text", 1_500_000_000, 500_000_000, 1)


def test_a_dropped_source_stays_for_the_seed_and_counts_no_longer(tmp_path: Path) -> None:
    config = after(study(tmp_path), Drop(("books",)))
    assert config.pool_sources == ("web", "code") and config.seed_sources == ("web", "code", "books")
    assert config.target_weights == {"web": 0.5, "code": 0.5, "books": 0.0}
    assert config.own_columns == (0, 1, -1)
    said = after(study(tmp_path, PLAIN + "target: {weights: {books: 1, web: 1}}\n"), Drop(("books",)))
    assert said.target.weights == {"books": 1.0, "web": 1.0}, "what the file says stays"


def test_a_merge_changes_neither_evaluations_nor_target(tmp_path: Path) -> None:
    file = study(tmp_path)
    before = file.config
    config = after(file, Merge(("code", "books"), "both"))
    assert config.pool_sources == ("web", "both")
    assert config.sources["both"].paths == tuple(str(tmp_path / name) for name in "cdb")
    assert config.sources["both"].tokens == 300 + 500, "counted where it is not said"
    assert config.evaluation_sets == before.evaluation_sets
    assert config.target_weights == before.target_weights
    assert config.own_columns == (0, 1, 1), "both hold the text of code and books"


def test_a_study_changed_and_changed_again(tmp_path: Path) -> None:
    file = study(tmp_path)
    config = after(file, SPLIT, Drop(("de",)), Merge(("en", "code"), "both"))
    assert config.pool_sources == ("books", "both")
    assert list(config.evaluation_sets) == ["code", "books", "en", "de"]
    assert config.own_columns == (1, 0, 1, -1)
    assert [copy.name for copy in sorted((tmp_path / COPIES).iterdir())] == [
        "001.yaml",
        "002.yaml",
        "003.yaml",
    ]


LAYOUTS = {
    "template": commented_study({"schema": 1, "sources": {"web": "w", "code": "c", "books": "b"}}),
    "template with a pool": commented_study(
        {"schema": 1, "sources": {"web": "w", "code": "c", "books": "b"}, "pool": ["books", "web", "code"]}
    ),
    "pool in a line": PLAIN + "pool: [web, books, code]  # all\n",
    "pool as a list": "pool:\n- web # first\n- books\n# and\n- code # last\n" + PLAIN,
    "empty": PLAIN + "pool: []\ntarget:\nname: n # a name",
    "in lines": "schema: 1\nsources: {web: w, code: c, books: b}\ntarget: {weights: {web: 1, books: 2}}\n",
    "in a block": PLAIN + "target:\n  weights:\n    books: 2\n    web: 1 # less\nname: n\n",
    "windows": PLAIN.replace("\n", "\r\n") + "pool:\r\n  - web\r\n  - code\r\n  - books # last\r\n",
}


@pytest.mark.parametrize("change", [SPLIT, Drop(("books",)), Merge(("web", "books"), "both")], ids=repr)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_everything_else_in_the_file_stays(tmp_path: Path, layout: str, change: Change) -> None:
    file = study(tmp_path, LAYOUTS[layout])
    config = after(file, change)
    assert set(config.pool_sources) == set(change.pool(file.config))
    text = file.path.read_bytes().decode()
    gone = {"split": "web", "drop": "books"}
    for line in LAYOUTS[layout].splitlines():
        # A line of an entry that went goes with the comment on it.
        entry = re.match(r"\s*(?:- )?(web|books)\b", line)
        if entry is None and not re.match(r"(pool|target|sources): *[\[{]|(pool|target):$", line):
            assert line in text, gone
    assert text.count("\r\n") == (text.count("\n") if layout == "windows" else 0)
    assert (tmp_path / COPIES / "001.yaml").read_bytes() == LAYOUTS[layout].encode()
    assert change.done(config, tmp_path) and not change.done(file.config, tmp_path)


REFUSED: dict[str, tuple[Change, str]] = {
    "unknown": (Drop(("boks",)), "cannot drop 'boks': there is no such source; did you mean \"books\""),
    "twice": (Merge(("web", "web"), "both"), "cannot merge web, web: name each once"),
    "one left": (
        Drop(("web", "code")),
        "cannot drop web, code: a mixture needs two sources, and of web, code, bo",
    ),
    "no part": (Split("web", {}), "name at least two"),
    "one part": (Split("web", {"en": ("x",)}), "name at least two"),
    "a name that is taken": (Split("web", {"en": ("x",), "books": ("y",)}), "already a source 'books'"),
    "an evaluation": (Merge(("web", "code"), "asked"), "already an evaluation 'asked'"),
    "all in one": (Merge(("web", "code", "books"), "both"), "'both' alone would leave nothing to decide"),
    "one merged": (Merge(("web",), "both"), "a merge takes two sources or more"),
    "limited": (Drop(("books",)), "limits.minimum names 'books', which leaves the mixture"),
    "tied": (Merge(("web", "code"), "both"), "limits.ratios.0 names 'web'"),
    "read differently": (
        Merge(("web", "code"), "both"),
        r"read differently \(text_field: 'text' and 'body'\)",
    ),
    "half seen": (Merge(("web", "code"), "both"), "the seed model has seen one of 'web' and 'code'"),
}
TEXTS: dict[str, str] = {
    "an evaluation": PLAIN + "evaluations: {asked: q}\n",
    "limited": PLAIN + "limits: {minimum: {books: 0.1}}\n",
    "tied": PLAIN + "limits: {ratios: [{web: 1, books: 2}]}\n",
    "read differently": "schema: 1\nsources: {web: w, code: {paths: c, text_field: body}, books: b}\n",
    "half seen": "schema: 1\nsources: {web: w, code: {paths: c, in_seed: false}, books: b}\n",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_leaves_the_file_alone(tmp_path: Path, case: str) -> None:
    change, message = REFUSED[case]
    file = study(tmp_path, TEXTS.get(case, PLAIN))
    with pytest.raises(ConfigError, match=message):
        changed(file, change, counts)
    assert not file.differs and [one.name for one in tmp_path.iterdir()] == ["study.yaml"]


def test_only_the_same_change_is_done_already(tmp_path: Path) -> None:
    config = after(study(tmp_path), SPLIT, Merge(("code", "books"), "both"))
    assert SPLIT.done(config, tmp_path) and Merge(("books", "code"), "both").done(config, tmp_path)
    for other in (
        Split("web", {}),
        Split("web", {"en": ("web/en",)}),
        Split("web", {"en": ("web/en",), "de": ("elsewhere",)}),
        Split("web", {**SPLIT.parts, "fr": ("web/fr",)}),
        Merge(("books",), "both"),
        Merge(("books", "code"), "other"),
        Drop(("code",)),
    ):
        assert not other.done(config, tmp_path), other


def test_a_source_out_of_the_pool_cannot_be_changed(tmp_path: Path) -> None:
    file = study(tmp_path)
    after(file, SPLIT)
    for change in (Drop(("web",)), Merge(("web", "books"), "both"), Split("web", {"a": ("x",), "b": ("y",)})):
        assert not change.done(StudyConfig.load(file.path), tmp_path)
        with pytest.raises(ConfigError, match="'web': it is out of the pool"):
            changed(StudyFile.read(file.path), change, counts)


def test_a_layout_that_cannot_be_edited_is_refused(tmp_path: Path) -> None:
    file = study(tmp_path, "{schema: 1, sources: {web: w, code: c, books: b}}\n")
    with pytest.raises(ConfigError, match="too unusual to be edited; change it by hand"):
        after(file, Drop(("books",)))
    assert not StudyFile.read(file.path).differs


@pytest.mark.parametrize(
    ("sources", "pool", "message"),
    [
        (
            {"a": "x", "b": {"paths": ["y"], "made_from": ["c"]}},
            None,
            'sources.b.made_from: "c" is no source above it',
        ),
        ({"a": {"paths": ["y"], "made_from": ["a"]}}, None, 'made_from: "a" is no source above it'),
        ({"b": {"paths": ["y"], "made_from": ["a"]}, "a": "x"}, None, 'made_from: "a" is no source above it'),
        (
            {"a": "x", "b": {"paths": ["y"], "made_from": ["a"], "in_seed": False}},
            ["b"],
            "a source has at least two",
        ),
        (
            {"a": "x", "b": {"paths": ["y"], "made_from": ["a"]}},
            ["b"],
            "sources.b.in_seed: the seed model sees what",
        ),
        (
            {"a": "x", "b": "y", "ab": {"paths": ["x", "y"], "made_from": ["a", "b"], "in_seed": False}},
            ["a", "ab"],
            'pool: "ab" holds text of "a"; leave one of them out',
        ),
    ],
)
def test_descent_that_makes_no_sense_is_refused(
    sources: dict[str, Any], pool: list[str] | None, message: str
) -> None:
    raw = {"schema": 1, "sources": sources} | ({"pool": pool} if pool else {})
    with pytest.raises(ConfigError, match=re.escape(message)):
        StudyConfig.parse(raw, Path())


def test_the_old_file_is_kept_once(tmp_path: Path) -> None:
    """A kill between the copy and the change leaves a copy, which the next attempt finds."""
    file = study(tmp_path)
    (tmp_path / COPIES).mkdir()
    (tmp_path / COPIES / "007.yaml").write_text(PLAIN)
    after(file, Drop(("books",)))
    assert [one.name for one in (tmp_path / COPIES).iterdir()] == ["007.yaml"]
    (tmp_path / "study.yaml").write_text((tmp_path / COPIES / "007.yaml").read_text())
    assert StudyConfig.load(tmp_path).pool_sources == ("web", "code", "books")


def test_united_runs_are_runs_of_whole_sources(tmp_path: Path) -> None:
    """As long as their sources are many: a run of the whole is shorter than one of its parts."""
    tokens = {"web": 1000, "code": 300, "books": 50, "en": 750, "de": 250}
    for estimand, fate in (("equal_budget", "exact"), ("union", "approximate")):
        config = after(study(tmp_path, f"{PLAIN}estimand: {estimand}\n"), SPLIT)
        assert over_pool(Mixture.of({"web": 0.5, "code": 0.5}), config, tokens).fate == fate
        assert over_pool(Mixture.of({"books": 0.5, "code": 0.5}), config, tokens).fate == "exact"


def test_parts_on_the_hub_are_known() -> None:
    assert not SPLIT.on_the_hub and not Drop(("web",)).on_the_hub and not Merge(("a", "b"), "c").on_the_hub
    assert Split("web", {"en": ("x",), "de": ("hub:owner/name:train",)}).on_the_hub
