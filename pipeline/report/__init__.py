"""Tables, figures and the report of a run; needs neither torch nor transformers."""

from pipeline.report.build import write_report

__all__ = ["write_report"]
