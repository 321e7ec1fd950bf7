"""Order: what all programs of this folder share; they run in the environments of trainers, without cuvee.

A folder holds ``sources.json`` (where the trainer finds each source), ``text/NAME.jsonl`` (its documents, of
the one word NAME), and the file that cuvee exported. A program builds what the trainer builds from that file,
draws through the trainer's own reader, and writes ``order.csv``: the source and tokens of each sample.
"""

import csv
import json
import sys
from collections import Counter
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
EXPORTED = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()
SAMPLES = int(sys.argv[3]) if len(sys.argv) > 3 else 0
LENGTH = 16
"""Tokens of a sample, where samples are windows."""


def places():
    """Path of each source, by its name."""
    return json.loads((FOLDER / "sources.json").read_text(encoding="utf-8"))


def words(name):
    """All tokens of a source, document by document."""
    with (FOLDER / "text" / f"{name}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"].split()


@cache
def numbers():
    """A number of each source, which stands for its word; zero ends a document."""
    return {name: number for number, name in enumerate(places(), start=1)}


def tokenizer():
    """A tokenizer of transformers that gives each word its number."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    model = Tokenizer(models.WordLevel({"<end>": 0, **numbers()}, unk_token="<end>"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=model, eos_token="<end>", pad_token="<end>")


def windows(name, length):
    """The tokens of a source in windows of one length."""
    number, left = numbers()[name], 0
    for document in words(name):
        left += len(document)
        while left >= length:
            left -= length
            yield [number] * length


def by_text(text):
    """Source and tokens of a sample of text."""
    found = Counter(text.split())
    source, _ = found.most_common(1)[0]
    return source, found[source]


def by_window(tokens):
    """Source and tokens of a window of numbers, ends of documents among them."""
    source, _ = by_row(tokens)
    return source, len(tokens)


def by_row(tokens):
    """Source and tokens of a document in numbers, its end not counted."""
    names = {number: name for name, number in numbers().items()}
    found = Counter(names[token] for token in tokens if token in names)
    if len(found) != 1:
        raise SystemExit(f"a sample of several sources: {found}")
    return next(iter(found.items()))


def without(*modules):
    """Let a package be imported that wants others, which are not used here and load only beside a GPU."""
    for name in modules:
        sys.modules[name] = _Empty(name)


class _Empty(ModuleType):
    """A module in which every name is a class that does nothing."""

    def __init__(self, name):
        super().__init__(name)
        self.__spec__, self.__path__ = ModuleSpec(name, None), []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def finish(package, drawn):
    """Write the order, and tell the version of the package that drew it."""
    with (FOLDER / "order.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("source", "tokens"))
        table.writerows(drawn)
    sys.stdout.write(json.dumps({"package": package, "version": version(package)}) + "\n")
