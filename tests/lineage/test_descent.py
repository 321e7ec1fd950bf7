"""What came from what, read off the names of a study file."""

from cuvee.lineage.descent import Descent, Step

NEVER = Descent({"a": (), "b": ()})
STUDY = Descent(
    {
        "web": (), "a": (), "b": (), "en": ("web",), "de": ("web",), "ab": ("a", "b"),
        "x": ("ab", "de"), "y": ("x",), "z": ("x",),
    }
)  # fmt: skip


def test_steps_stand_in_their_order() -> None:
    assert NEVER.steps == ()
    assert STUDY.steps == (
        Step(("web",), ("en", "de")),
        Step(("a", "b"), ("ab",)),
        Step(("ab", "de"), ("x",)),
        Step(("x",), ("y", "z")),
    )
    assert [step.is_split for step in STUDY.steps] == [True, False, False, True]


def test_ancestors_go_all_the_way() -> None:
    assert STUDY.ancestors("web") == frozenset()
    assert STUDY.ancestors("y") == {"x", "ab", "a", "b", "de", "web"}
    assert STUDY.related("web", "z") and STUDY.related("z", "z") and not STUDY.related("en", "z")


def test_each_text_is_measured_once() -> None:
    assert NEVER.measured == ("a", "b")
    until = list(STUDY.made_from)
    seen = [
        Descent({name: STUDY.made_from[name] for name in until[:end]}).measured for end in (3, 5, 6, 7, 9)
    ]
    assert seen == [
        ("web", "a", "b"),
        ("a", "b", "en", "de"),
        ("a", "b", "en", "de"),
        ("a", "b", "en", "de"),
        ("en", "y", "z"),
    ]


def test_the_home_of_a_text_is_the_one_source_that_holds_all_of_it() -> None:
    assert NEVER.home("a", ("a", "b")) == "a" and NEVER.home("a", ("b",)) is None
    assert STUDY.home("a", ("ab", "en", "de")) == "ab"
    assert STUDY.home("a", ("x", "en")) == "x"
    assert STUDY.home("a", ("en", "y", "z")) is None
    assert STUDY.home("web", ("en", "de")) is None
