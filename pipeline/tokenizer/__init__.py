"""Tokenizer: train one on the training split, or take an existing one."""

from pipeline.tokenizer.builder import build

__all__ = ["build"]
