"""Training: one loop, frozen recipes, and the pool of branches that merges are made of."""
