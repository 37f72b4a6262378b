"""sllama: a reproducible training and evaluation pipeline for the SLlama architecture."""
