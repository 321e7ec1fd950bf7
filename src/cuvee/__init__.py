"""cuvee decides what a language model is trained on.

Importing this package only defines names; nothing heavy is loaded.
"""

__version__ = "0.1.0"
