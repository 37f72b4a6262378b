"""Sliding windows over a text longer than a model's context."""

from pipeline.evaluate.encoding import Encoded


def rolling_windows(text: Encoded, context: int) -> list[Encoded]:
    """Cut a text into windows of at most context + 1 tokens that score each token once.

    The first window scores all it holds; each later one moves on by half a context and scores what
    is new, so a token is predicted from at least half a context, or from all that precedes it.
    """
    window, stride = context + 1, max(1, context // 2)
    tokens, windows = text.tokens, []
    scored = text.start
    end = min(len(tokens), window)
    while scored < len(tokens):
        start = max(0, end - window)
        windows.append(Encoded(tokens[start:end], scored - start))
        scored, end = end, min(len(tokens), end + stride)
    return windows
