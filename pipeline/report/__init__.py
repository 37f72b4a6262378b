"""Tables, figures and the report of a run; needs neither torch nor transformers."""
