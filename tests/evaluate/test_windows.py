from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate.encoding import Encoded
from pipeline.evaluate.windows import rolling_windows


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 40))
def test_each_token_is_scored_once_with_half_a_context_or_all_there_is(
    length: int, context: int
) -> None:
    tokens = list(range(length))
    scored = []
    for window in rolling_windows(Encoded(tokens, 1), context):
        assert len(window.tokens) <= context + 1
        for place in range(window.start, len(window.tokens)):
            token = window.tokens[place]
            assert place == token or place >= context // 2
            scored.append(token)
    assert scored == tokens[1:]
