"""Hugging Face datasets as a source, ``hub:owner/name/config:split`` (the only file that needs datasets).

Rows are streamed in the order of the dataset; nothing is written but what the datasets library keeps
in its own cache. Needs the extra ``hub`` and a network, unless the dataset is in that cache.
"""

from collections.abc import Callable, Iterator

from cuvee.errors import BrokenRecord, ConfigError, MissingSource
from cuvee.sources.document import Document
from cuvee.sources.record import MOST_DOCUMENT_BYTES, text_of

HUB_PREFIX = "hub:"
"""How the address of a dataset begins."""


def read_hub(
    address: str,
    source: str,
    text_field: str,
    broken: Callable[[BrokenRecord], None],
    document_bytes: int = MOST_DOCUMENT_BYTES,
) -> Iterator[Document]:
    """The rows of a dataset, one document each.

    Args:
        address: ``hub:name``, ``hub:owner/name`` or ``hub:owner/name/config``, then ``:split``
            (``train`` if it is left out).
        source: name of the source.
        text_field: the column with the text, or a path such as ``data.text``.
        broken: called for each row without text.
        document_bytes: the largest document.

    Raises:
        ConfigError: the extra is not installed, or the address is malformed.
        MissingSource: the dataset cannot be opened.
    """
    name, config, split = parse_address(address)
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(
            f"'{address}' needs the datasets library: pip install 'cuvee[hub]', or give local files"
        ) from error
    try:
        rows = datasets.load_dataset(name, config, split=split, streaming=True)
    except Exception as error:  # the library and its network stack raise dozens of kinds
        raise MissingSource(f"'{address}' of source '{source}' cannot be opened: {error}") from error
    for number, row in enumerate(rows, start=1):
        location = f"{address}:{number}"
        try:
            yield Document(text_of(row, text_field, location, document_bytes), source, location)
        except BrokenRecord as error:
            broken(error)


def parse_address(address: str) -> tuple[str, str | None, str]:
    """Name, config and split of ``hub:owner/name/config:split``.

    Raises:
        ConfigError: it is no such address.
    """
    path, _, split = address.removeprefix(HUB_PREFIX).partition(":")
    pieces = path.split("/")
    if not all(pieces) or len(pieces) > 3 or ":" in split:
        raise ConfigError(f"'{address}' is no address of a dataset; write hub:owner/name/config:split")
    return "/".join(pieces[:2]), pieces[2] if len(pieces) == 3 else None, split or "train"
