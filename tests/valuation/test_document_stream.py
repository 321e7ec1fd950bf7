"""Documents as batches and as windows, against what a reader of one token at a time finds."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.sources.tokenizer import Tokenizer
from cuvee.training.recipe import Recipe
from cuvee.valuation.document_stream import DocumentStream
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.windows import DocumentWindows

LENGTHS = (1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 200)
CASES = [
    (trial, context, sequences) for trial in range(6) for context, sequences in ((1, 1), (8, 2), (16, 3))
]


def drawn(tokenizer: Tokenizer, trial: int) -> DocumentTable:
    """Some documents with lengths about the borders of windows."""
    rng = np.random.default_rng(trial)
    lengths = rng.choice(LENGTHS, size=5)
    texts = ["".join(rng.choice(list("abcdefg xyz"), size=length)) for length in lengths]
    return DocumentTable.of_texts(texts, tokenizer)


@pytest.mark.parametrize(("trial", "context", "sequences"), CASES)
def test_every_token_is_read_and_summed_once(
    tokenizer: Tokenizer, trial: int, context: int, sequences: int
) -> None:
    pool = drawn(tokenizer, trial)
    recipe = Recipe(steps=1, batch_sequences=sequences, context_length=context, learning_rate=1e-3)
    if int((pool.length + 1).sum()) < recipe.batch_tokens:
        with pytest.raises(ConfigError, match="less than one batch"):
            DocumentStream.of(pool, recipe, trial)
        return
    stream = DocumentStream.of(pool, recipe, trial)
    whole = [
        (row, token) for row in stream.order for token in (*pool.document(int(row)), tokenizer.end_of_text)
    ]
    rows = np.random.default_rng(trial).normal(size=(stream.steps, recipe.batch_tokens))
    found: dict[int, list[float]] = {}
    for step in range(stream.steps):
        inputs, targets = (one.ravel() for one in stream.batch(step))
        for place, owner in enumerate(stream.owners(step)):
            position = step * recipe.batch_tokens + place
            assert (owner, targets[place]) == whole[position % len(whole)]
            assert inputs[place] == whole[(position - 1) % len(whole)][1]
            found.setdefault(position % len(whole), []).append(rows[step, place])
    assert sorted(found) == list(range(len(whole)))
    expected = np.zeros(len(pool))
    for position, values in found.items():
        expected[whole[position][0]] += np.mean(values)
    np.testing.assert_allclose(stream.summed(rows), expected, atol=1e-12)


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize(("trial", "context", "sequences"), CASES)
def test_windows_are_pieces_of_their_documents(
    tokenizer: Tokenizer, trial: int, context: int, sequences: int, most: int
) -> None:
    pool = drawn(tokenizer, trial)
    windows = DocumentWindows.of(pool, np.arange(len(pool)), context, most)
    for place, row in enumerate(windows.row):
        document, length = pool.document(int(row)).tolist(), int(windows.length[place])
        before = [tokenizer.end_of_text, *document]
        piece = windows.targets[place, :length].tolist(), windows.inputs[place, :length].tolist()
        starts = range(len(document) - length + 1)
        assert any((document[one : one + length], before[one : one + length]) == piece for one in starts)
    read = np.bincount(windows.row, weights=windows.length)
    np.testing.assert_array_equal(read, np.minimum(pool.length, most * context))
