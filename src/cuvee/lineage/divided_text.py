"""Whether the files of the parts of a source are its documents, each in one part."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cuvee.errors import SourceError

if TYPE_CHECKING:  # readers load libraries that a look at a study file does not need
    from cuvee.sources.document import Document
    from cuvee.sources.readers import SourceSpec


def check_divided(whole: "SourceSpec", parts: Sequence["SourceSpec"]) -> None:
    """Compare the documents of a source with those of its parts by their text; empty ones count nowhere.

    Raises:
        SourceError: a document is in two parts, in none, or in a part and not in the source.
        MissingSource, BrokenRecord: see ``read_source``.

    Cost: every file is read once; the digests of all documents are held.
    """
    from cuvee.sources.readers import read_source

    known = {_digest(document) for document in read_source(whole) if document.text.strip()}
    owners: dict[bytes, str] = {}
    for part in parts:
        for document in read_source(part):
            if document.text.strip():
                _claim(whole.name, part.name, document, known, owners)
    if missing := known - owners.keys():
        first = next(one.location for one in read_source(whole) if _digest(one) in missing)
        found = "1 document" if len(missing) == 1 else f"{len(missing)} documents"
        raise SourceError(
            f"{first}: in no part of source '{whole.name}' ({found} in all); name a part for such text, "
            "which may be dropped afterwards"
        )


def _claim(whole: str, part: str, document: "Document", known: set[bytes], owners: dict[bytes, str]) -> None:
    digest = _digest(document)
    if digest not in known:
        raise SourceError(
            f"{document.location}: part '{part}' has a document that source '{whole}' has not; add new "
            "text as a source of its own"
        )
    if owners.setdefault(digest, part) != part:
        raise SourceError(
            f"{document.location}: the document is in part '{part}' and in part '{owners[digest]}'; parts "
            "must not overlap"
        )


def _digest(document: "Document") -> bytes:
    return document.identity
