"""Digests that are kept with what they are of."""

import json
from pathlib import Path

import pytest

from cuvee.seal import damage, digests_of, read_sealed, sealed, unsealed, write_sealed


def test_what_was_sealed_comes_back(tmp_path: Path) -> None:
    value = {"weights": [0.1, 1 / 3, 1e300], "name": "é"}
    write_sealed(tmp_path / "one.json", value)
    assert read_sealed(tmp_path / "one.json") == value
    assert unsealed(sealed(value)) == value


@pytest.mark.parametrize("plain", [{"digest": 0.5, "web": 0.5}, {"web": 1.0}, [1, 2], "text", None])
def test_what_has_no_digest_comes_back_as_it_is(plain: object) -> None:
    assert unsealed(plain) == plain


def test_every_flipped_bit_of_a_sealed_object_is_found(tmp_path: Path) -> None:
    """Or changes nothing: a space between two entries may become another kind of space."""
    value = {"loss": 3.25, "key": "abc"}
    file = tmp_path / "one.json"
    write_sealed(file, value)
    data = file.read_bytes()
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        file.write_bytes(changed)
        try:
            found = read_sealed(file)
        except ValueError:
            continue
        # Where the word "digest" itself was hit, it is a key that no reader knows, and the rest is right.
        assert {name: found[name] for name in value} == value


def test_files_are_compared_with_their_digests(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"y")
    digests = digests_of(tmp_path, ("a", "b"))
    assert damage(tmp_path, digests, ("a", "b", "not known")) == ""
    data = bytearray((tmp_path / "a").read_bytes())
    data[2_345_678] ^= 4
    (tmp_path / "a").write_bytes(data)
    assert "a is not as it was written" in damage(tmp_path, digests, ("a", "b"))
    (tmp_path / "b").unlink()
    assert "b cannot be read" in damage(tmp_path, digests, ("b",))


def test_json_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_sealed(tmp_path / "deep.json")
    (tmp_path / "cut.json").write_text(json.dumps(sealed({"a": 1}))[:-3])
    with pytest.raises(ValueError, match="line 1 column"):
        read_sealed(tmp_path / "cut.json")
