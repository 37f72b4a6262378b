"""Training: exact, resumable to the bit, counted in words."""

from pipeline.train.dry_run import dry_run
from pipeline.train.run import train

__all__ = ["dry_run", "train"]
