"""Benchmarks for a machine with a GPU; each runs at toy size on a CPU."""
