"""Methods of valuation, one file each; ``valuation/registry.py`` has the table."""
