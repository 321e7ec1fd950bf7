"""Processor cores."""

import os


def usable_cores() -> int:
    """Cores this process may run on (its CPU affinity where the system reports it, else all)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
