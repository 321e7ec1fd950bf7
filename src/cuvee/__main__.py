"""``python -m cuvee`` is the ``cuvee`` command."""

from cuvee.cli.app import main

if __name__ == "__main__":
    main()
