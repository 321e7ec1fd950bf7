"""cuvee decides what a language model is trained on.

Importing this package only defines names; nothing heavy is loaded. No file inside cuvee imports it: ``open``
stands above nearly all of them.
"""

from typing import TYPE_CHECKING, Any

from cuvee.version import VERSION as __version__

if TYPE_CHECKING:
    from cuvee.notebook.opening import open

__all__ = ["__version__", "open"]


def __dir__() -> list[str]:
    """With ``open``, so that a notebook completes it."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """``open``, loaded when it is first asked for."""
    if name != "open":
        raise AttributeError(f"module 'cuvee' has no attribute {name!r}")
    from cuvee.notebook.opening import open

    return open
