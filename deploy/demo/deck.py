"""Random draws that leave nothing out: also a short run shows what is rare."""

from collections.abc import Sequence
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")


class Deck(Generic[T]):
    """Draws every card once, in random order, before any comes again."""

    def __init__(self, chance: Random, cards: Sequence[T]) -> None:
        self._chance = chance
        self._cards = tuple(cards)
        self._left: list[T] = []

    def draw(self) -> T:
        """The next card."""
        if not self._left:
            self._left = self._chance.sample(self._cards, len(self._cards))
        return self._left.pop()
