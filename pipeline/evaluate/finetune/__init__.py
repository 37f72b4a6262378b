"""GLUE by fine-tuning: the recipe of the BabyLM pipelines, scored officially and honestly."""
