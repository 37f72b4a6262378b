"""Publishing: a model card from what was measured, checks, and the way to the Hub or a folder."""

from pipeline.publish.publication import Request, publish

__all__ = ["Request", "publish"]
