"""Entry points of the pipeline's stages, one thin module each (`python -m stages.<name>`)."""
