"""Data: what there is and where it lies, how it is fetched, documents, tokens, batches."""
