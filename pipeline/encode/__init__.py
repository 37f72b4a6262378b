"""Encode: documents to tokens, split into train, validation and test."""

from pipeline.encode.encoder import encode_corpus

__all__ = ["encode_corpus"]
