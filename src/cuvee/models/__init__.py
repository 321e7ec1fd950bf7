"""Models as functions of one flat vector: the native Llama, any transformers model, checkpoints.

A model has no state: ``layout`` says what stands where in the vector [N], and the vector is an argument of
every call. ``open_model`` reads the folder of any causal model; ``save_checkpoint`` writes one.
"""

from cuvee.models.checkpoint import Checkpoint, save_checkpoint
from cuvee.models.config import ModelConfig
from cuvee.models.hugging_face import HuggingFaceModel, open_model, read_flat
from cuvee.models.interface import CausalModel
from cuvee.models.layout import Entry, Layout
from cuvee.models.llama import Llama

__all__ = [
    "CausalModel",
    "Checkpoint",
    "Entry",
    "HuggingFaceModel",
    "Layout",
    "Llama",
    "ModelConfig",
    "open_model",
    "read_flat",
    "save_checkpoint",
]
