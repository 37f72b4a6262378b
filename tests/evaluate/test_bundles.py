import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate.bundles import pack
from pipeline.evaluate.encoding import Encoded

ROWS = st.lists(
    st.lists(st.integers(0, 3), min_size=1, max_size=9).flatmap(
        lambda tail: st.tuples(st.just((7, *tail)), st.integers(1, len(tail)))
    ),
    min_size=1,
    max_size=30,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from([4, 8, 16, 128]))
def test_every_prediction_sees_exactly_its_own_prefix(
    drawn: list[tuple[tuple[int, ...], int]], capacity: int
) -> None:
    rows = [Encoded(list(tokens), start) for tokens, start in sorted(drawn)]
    bundles = pack(rows, capacity)
    assert [bundle.rows[0] for bundle in bundles[1:]] == [b.rows[1] for b in bundles[:-1]]
    assert bundles[-1].rows[1] == len(rows)
    for bundle in bundles:
        places = np.arange(bundle.size)
        predictions = iter(zip(bundle.nodes, bundle.targets, strict=True))
        for row in rows[slice(*bundle.rows)]:
            for position in range(row.start, len(row.tokens)):
                node, target = next(predictions)
                seen = places[(places <= node) & (node < bundle.ends)]
                assert bundle.tokens[seen].tolist() == row.tokens[:position]
                assert bundle.depths[seen].tolist() == list(range(position))
                assert target == row.tokens[position]
        assert next(predictions, None) is None


def test_a_shared_prefix_is_stored_once() -> None:
    rows = [Encoded([0, 1, 2, 3, last], 1) for last in range(4, 9)]
    (bundle,) = pack(rows)
    assert len(set(bundle.nodes.tolist())) == 4
    assert len(bundle.targets) == 20


def test_a_row_longer_than_a_bundle_gets_a_larger_one() -> None:
    (bundle,) = pack([Encoded(list(range(200)), 1)], capacity=128)
    assert bundle.size == 224
    assert bundle.targets.tolist() == list(range(1, 200))


def test_the_options_after_a_long_context_share_it() -> None:
    context = list(range(200))
    rows = [Encoded([*context, 300 + option, *range(400, 440)], 200) for option in range(4)]
    (bundle,) = pack(rows, capacity=128)
    assert bundle.size == 384  # 200 and 4 * 40, in steps of 32
    assert bundle.depths.max() == 239


def test_a_bundle_grows_to_twice_its_size_at_most() -> None:
    context = list(range(200))
    rows = [Encoded([*context, 300 + option, *range(400, 440)], 200) for option in range(40)]
    bundles = pack(rows, capacity=128)
    assert max(bundle.size for bundle in bundles) <= 512
    assert sum(bundle.size for bundle in bundles) < 40 * 50 + len(bundles) * 232


def test_a_short_prefix_is_worth_no_larger_bundle() -> None:
    rows = [Encoded([*range(20), 300 + option, *range(400, 440)], 20) for option in range(40)]
    assert {bundle.size for bundle in pack(rows, capacity=128)} == {128}


def test_nothing_packs_into_nothing() -> None:
    assert pack([]) == []
