"""What a file is by its name: its type, its compression, or something about the data (sources).

Cards, licences and pointers of Git LFS lie among data everywhere. They are no documents.
"""

import re
from pathlib import Path

TEXT_TYPES = (".txt", ".md")
"""Suffixes of files that are one document each."""

TOKEN_TYPES = {".bin": "megatron", ".npy": "olmo", ".ds": "datatrove", ".arrow": "arrow"}
"""Suffixes of files that hold tokens, and what their format is called."""

TYPES = (*TEXT_TYPES, ".jsonl", ".ndjson", ".json", ".parquet", *TOKEN_TYPES)
"""Suffixes of all files that can be read."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
"""Suffixes of compressed text and JSON, and what the compression is called."""

KNOWN = (
    f"{', '.join(one for one in TYPES if one not in TOKEN_TYPES)}, also with {', '.join(COMPRESSIONS)}; "
    "tokens: "
    f".bin with .idx, .npy, .ds, .arrow"
)
"""All types in words."""

_OTHER_COMPRESSIONS = (".lz4", ".br", ".snappy", ".zip", ".7z", ".lzma", ".z", ".zstd")
_LARGEST_POINTER = 1024
_POINTER = b"version https://git-lfs.github.com/spec/"
_CARD = re.compile(
    r"(readme|licen[cs]e)([-_. ].*)?|"
    r"licen[cs]es|copying|copyright|(third[-_]party[-_])?notices?|change[-_]?log|changes|manifest|"
    r"authors|contributors|contributing|citation|citing|code[-_]of[-_]conduct|terms[-_]of[-_]use|disclaimer|"
    r"(data|dataset|model)[-_]?card|datasheet",
    re.IGNORECASE,
)
_SIDECAR = re.compile(
    r"(dataset[-_]?)?(infos?|dict|metadata|meta|manifest|schema|stats|statistics|checksums|splits)|"
    r"(.*\.)?(index|state|config)|croissant|datapackage|package(-lock)?|_.*|"
    r"vocab|(special_|added_)tokens(_map)?|tokenizer(_config)?",
    re.IGNORECASE,
)
"""JSON beside data that describes it; what else is JSON is read."""


_OF_DATASETS = ("dataset_info.json", "state.json")
"""Files that ``save_to_disk`` writes beside the data."""


def type_of(path: Path) -> str:
    """The suffix that names the type: ``.jsonl`` for ``a.jsonl.zst``; empty where there is none."""
    suffix = path.suffix.lower()
    if suffix in COMPRESSIONS:
        inner = Path(path.stem).suffix.lower()
        return "" if inner == ".parquet" or inner in TOKEN_TYPES else inner
    return suffix


def stem_of(path: Path) -> str:
    """The name without type and compression."""
    return Path(path.stem).stem if path.suffix.lower() in COMPRESSIONS else path.stem


def ending_of(path: Path) -> str:
    """What follows the name, to call an unknown type by: ``.json.lz4``; the name where there is none."""
    packed = path.suffix.lower() in (*COMPRESSIONS, *_OTHER_COMPRESSIONS)
    return "".join(path.suffixes[-2:] if packed else path.suffixes[-1:]) or path.name


def is_card(path: Path) -> bool:
    """Whether a name says that the file is about the data: a card, a licence, a list of changes."""
    kind, stem = type_of(path), stem_of(path)
    if kind in ("", *TEXT_TYPES) and _CARD.fullmatch(stem):
        return True
    return kind == ".json" and bool(_CARD.fullmatch(stem) or _SIDECAR.fullmatch(stem))


def is_companion(path: Path) -> bool:
    """Whether a file says where the documents of another one, which holds tokens, lie; or lies beside
    such."""
    name = path.name
    if path.suffix == ".idx":
        return path.with_suffix(".bin").is_file()
    if name.endswith(".csv.gz"):
        return path.with_name(f"{name.removesuffix('.csv.gz')}.npy").is_file()
    if name in _OF_DATASETS:
        return any(path.parent.glob("*.arrow"))
    stem, dot, _ = name.rpartition(".ds.")
    return bool(dot) and path.with_name(f"{stem}.ds").is_file()


def is_pointer(path: Path) -> bool:
    """Whether a regular file is a pointer of Git LFS in the place of the data."""
    if path.stat().st_size > _LARGEST_POINTER:
        return False
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER
