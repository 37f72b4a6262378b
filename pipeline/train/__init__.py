"""Training: exact, resumable to the bit, counted in words."""

from pipeline.train.dry_run import dry_run
from pipeline.train.places import Places
from pipeline.train.run import train

__all__ = ["Places", "dry_run", "train"]
