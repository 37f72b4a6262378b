"""Regular English inflection and spelling."""

_VOWELS = "aeiou"


def _ends_in_consonant_y(word: str) -> bool:
    return word.endswith("y") and word[-2] not in _VOWELS


def add_s(word: str) -> str:
    """Return the regular plural of a noun, which is also the third person of a verb."""
    if _ends_in_consonant_y(word):
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh", "o")):
        return word + "es"
    return word + "s"


def _doubles_consonant(word: str) -> bool:
    """Whether a stressed last syllable is consonant-vowel-consonant (hug, drop; not help, draw)."""
    vowels = sum(letter in _VOWELS for letter in word)
    return vowels == 1 and word[-2] in _VOWELS and word[-1] not in "aeiouwxy"


def add_ed(word: str) -> str:
    """Return the regular past of a verb of one stressed syllable (or ending in a weak one)."""
    if word.endswith("e"):
        return word + "d"
    if _ends_in_consonant_y(word):
        return word[:-1] + "ied"
    if _doubles_consonant(word):
        return word + word[-1] + "ed"
    return word + "ed"


def add_ing(word: str) -> str:
    """Return the progressive form of a verb."""
    if word.endswith("e") and not word.endswith("ee"):
        return word[:-1] + "ing"
    if _doubles_consonant(word):
        return word + word[-1] + "ing"
    return word + "ing"


def article(following: str) -> str:
    """Return the indefinite article before a word of this lexicon."""
    return "an" if following[0] in _VOWELS else "a"


def capitalize(text: str) -> str:
    """Return `text` with its first letter in upper case and the rest as it is."""
    return text[0].upper() + text[1:]


def listed(text: str) -> list[str]:
    """Return the words of a table that is written as running text."""
    return text.split()


def join(*parts: str) -> str:
    """Join the parts that are not empty by spaces."""
    return " ".join(part for part in parts if part)
