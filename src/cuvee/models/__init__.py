"""Models as functions of one flat vector: the native Llama, any transformers model, checkpoints."""
