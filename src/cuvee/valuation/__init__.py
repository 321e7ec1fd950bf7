"""The worth of documents and sources: what a pool's text does for a target.

One table of documents, three substrates (embeddings, directional derivatives, optimal transport), one short
file a method. ``registry.VALUERS`` lists the methods; ``selection`` keeps documents under a token budget.
"""
