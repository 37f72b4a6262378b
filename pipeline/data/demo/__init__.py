"""The embedded corpus: English from a seeded grammar, and minimal pairs to match."""

from pipeline.data.demo.corpus import write_corpus
from pipeline.data.demo.pairs import write_pairs

__all__ = ["write_corpus", "write_pairs"]
