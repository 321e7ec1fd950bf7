"""The decision of ``cuvee value``: what documents and sources are worth for a target."""
