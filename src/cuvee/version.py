"""The version of cuvee, for the files that write it down. The package itself shows it as ``__version__``."""

VERSION = "0.1.0"
