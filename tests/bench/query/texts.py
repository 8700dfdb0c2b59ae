"""Texts of made-up words, as frequent as words are: a few everywhere, most seldom. The same for the same seed."""

import math
from itertools import accumulate
from random import Random

RARE = "Zanzibarish"
"""Stands in the prompt of one row in `RARE_EVERY`, and nowhere else."""
RARE_EVERY = 100_003
COMMON = "lighthouse"
"""Stands in the completion of every third row, and nowhere else."""
COMMON_EVERY = 3

_VOCABULARY = 36_000
_SENTENCES = 20_000
_LATIN = [consonant + vowel for consonant in "bcdfghklmnprstvz" for vowel in ("a", "e", "i", "o", "u", "ar", "en")]
_CYRILLIC = [consonant + vowel for consonant in "бвгджзклмнпрст" for vowel in "аеиоуы"]
_FIRST_HAN, _HAN = 0x4E00, 2_000
_OTHER_SCRIPTS = 0.06  # of the words, for each of the two


def sentences(random: Random) -> list[str]:
    """Enough sentences that a text put together from them is seldom like another one."""
    words = _vocabulary(random)
    weights = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    lengths = (random.randint(5, 10) for _ in range(_SENTENCES))
    return [" ".join(random.choices(words, cum_weights=weights, k=length)) + "." for length in lengths]


def _vocabulary(random: Random) -> list[str]:
    words: dict[str, None] = {}  # in the order in which they were made
    while len(words) < _VOCABULARY:
        words[_word(random)] = None
    return list(words)


def _word(random: Random) -> str:
    drawn = random.random()
    if drawn < _OTHER_SCRIPTS:
        return "".join(chr(_FIRST_HAN + random.randrange(_HAN)) for _ in range(2))
    syllables = _CYRILLIC if drawn < 2 * _OTHER_SCRIPTS else _LATIN
    return "".join(random.choices(syllables, k=1 + min(3, int(math.log2(1 + 15 * random.random())))))
