"""Fewest blocks, compared with an exhaustive search."""

from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modbus.planning import Block, plan


@dataclass(frozen=True)
class Place:
    function: int
    address: int
    words: int


def test_gap_and_length_end_a_block():
    places = [Place(3, 0, 2), Place(3, 2, 2), Place(3, 6, 1), Place(3, 20, 2)]
    assert plan(places, 100, 2) == (Block(3, 0, 7), Block(3, 20, 2))
    assert plan(places, 100, 1) == (Block(3, 0, 4), Block(3, 6, 1), Block(3, 20, 2))
    assert plan(places, 100, 13) == (Block(3, 0, 22),)
    assert plan(places, 4, 13) == (Block(3, 0, 4), Block(3, 6, 1), Block(3, 20, 2))


def test_function_codes_do_not_share_a_block():
    assert plan([Place(4, 0, 1), Place(3, 1, 1)], 10, 5) == (Block(3, 1, 1), Block(4, 0, 1))


def test_a_register_longer_than_a_block_is_refused():
    with pytest.raises(ValueError, match="0010 has 4 words"):
        plan([Place(3, 16, 4)], 3, 0)


@pytest.mark.parametrize("length", [0, 126])
def test_a_block_longer_than_a_frame_is_refused(length):
    with pytest.raises(ValueError, match="block"):
        plan([], length, 0)


def fewest(places, max_block, max_gap):
    """Try every way to cut the sorted, distinct registers into runs."""
    places = sorted(set(places), key=lambda p: (p.address, p.words))

    def fits(run):
        end = run[0].address
        for place in run:
            if place.address - end > max_gap:
                return False
            end = max(end, place.address + place.words)
        return end - run[0].address <= max_block

    @cache
    def best(start):
        if start == len(places):
            return 0
        return min(
            1 + best(stop) for stop in range(start + 1, len(places) + 1) if fits(places[start:stop])
        )

    return best(0)


@given(
    st.lists(st.builds(Place, st.just(3), st.integers(0, 40), st.integers(1, 4)), max_size=9),
    st.integers(4, 20),
    st.integers(0, 6),
)
def test_plan_is_complete_lawful_and_the_fewest(places, max_block, max_gap):
    blocks = plan(places, max_block, max_gap)
    assert all(any(block.holds(place) for block in blocks) for place in places)
    assert all(1 <= block.count <= max_block for block in blocks)
    for block in blocks:
        end = block.address
        for place in sorted(
            (place for place in places if block.holds(place)), key=lambda p: p.address
        ):
            assert place.address - end <= max_gap
            end = max(end, place.address + place.words)
        assert end == block.end
    assert len(blocks) == fewest(places, max_block, max_gap)
    assert plan(reversed(places), max_block, max_gap) == blocks
