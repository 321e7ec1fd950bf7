"""Damaged files of every type: `init` and the readers end with an error of ours, or read them (seeded)."""

import random
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.fuzz_inputs import of_bytes, texts
from cuvee.errors import CuveeError
from cuvee.sources.readers import SourceSpec, read_source
from cuvee.study.start.inspection import inspect

FIELDS = ("text", "data.text", "messages", "data", "nope")


@pytest.mark.parametrize(("seed", "count"), [(0, 400), pytest.param(1, 20_000, marks=pytest.mark.slow)])
def test_damaged_files(tmp_path: Path, seed: int, count: int) -> None:
    rng, files = random.Random(seed), texts()
    for number in range(count):
        suffix, data = rng.choice(files)
        folder = tmp_path / f"{number}"
        folder.mkdir()
        (folder / f"a{suffix}").write_bytes(of_bytes(data, rng))
        paths = (str(folder),)
        with suppress(CuveeError):
            inspect(folder)
        for allow_broken in (False, True):
            spec = SourceSpec("s", paths, text_field=rng.choice(FIELDS), allow_broken=allow_broken)
            with suppress(CuveeError):
                assert all(document.text.encode() is not None for document in read_source(spec))
