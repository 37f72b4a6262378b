"""The paper's tables: variants x seeds over the pipeline's stages; needs no torch."""
