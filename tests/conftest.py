"""What holds for all tests: one thread, no network, and random examples that a failure can name again."""

import os

# Set before torch, tokenizers or the hub client are imported by a test module.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from hypothesis import settings

from tests import shapes

shapes.install()  # before any test module imports cuvee

# A busy machine is no reason to fail: examples have no deadline. They are the same in every run.
settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("house")
