"""What may leave the building: counts with the small ones hidden so that nobody can work them out.

1 to 10 becomes `<11`; 0 stays 0 (SX-02). Whoever knows how many there were in all could subtract, so a
second count is left out where that would give the first away. Nothing exported has a row of totals.
"""

from collections.abc import Sequence

from intake.core.i18n import N_

LARGEST_SMALL = 10
SMALL = "<11"
LEFT_OUT = N_("hidden")


def is_small(count: int) -> bool:
    """Whether a count may not be shown outside."""
    return 1 <= count <= LARGEST_SMALL


def masked(counts: Sequence[int]) -> list[str]:
    """The counts of one figure as they may leave: a figure's own number, SMALL, or LEFT_OUT.

    Holds even for a reader who knows their sum: no count of 1 to 10 can be told for certain. Where
    leaving out larger ones is not enough, all of the figure is left out.
    """
    small = [count for count in counts if is_small(count)]
    larger = sorted((count, place) for place, count in enumerate(counts) if count > LARGEST_SMALL)
    for enough in range(len(larger) + 1):
        beside = larger[:enough]
        if not _told(small, [count for count, _ in beside]):
            return _shown(counts, {place for _, place in beside})
    return [LEFT_OUT] * len(counts)


def _told(small: Sequence[int], beside: Sequence[int]) -> bool:
    """Whether the sum of what is hidden leaves only one way to fill it in."""
    if not small:
        return False
    least = len(small) + (LARGEST_SMALL + 1) * len(beside)
    hidden = sum(small) + sum(beside)
    return hidden == least or (not beside and (len(small) == 1 or hidden == LARGEST_SMALL * len(small)))


def _shown(counts: Sequence[int], left_out: set[int]) -> list[str]:
    return [
        LEFT_OUT if place in left_out else SMALL if is_small(count) else str(count)
        for place, count in enumerate(counts)
    ]
