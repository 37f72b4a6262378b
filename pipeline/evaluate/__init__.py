"""Scores a causal language model on the BabyLM suite, exactly, with the null scorers beside it."""
