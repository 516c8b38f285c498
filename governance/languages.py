"""Chinese first, English complete: every sentence on a page or in an explanation goes through here.

The Chinese sentence is the message id; English comes from the catalogue file beside the package, read
once. A sentence that the catalogue lacks is shown in Chinese, and a test refuses that any is lacking.
Legal texts and the sentences of reasons and problems are not here: they carry both languages themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from babel.messages.pofile import read_po

LANGUAGES: Final = ("zh", "en")
CATALOGUE: Final = Path(__file__).parent / "locale" / "en" / "LC_MESSAGES" / "governance.po"

Say = Callable[..., str]
"""Takes a Chinese sentence with ``%(name)s`` places and their values; returns it in one language."""


@cache
def _english() -> Mapping[str, str]:
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="en")
    return {str(message.id): str(message.string) for message in catalogue if message.id and message.string}


def noted(sentence: str) -> str:
    """Return the sentence as it is; marks it for the catalogue where it stands in a table."""
    return sentence


def _chinese(sentence: str, **values: object) -> str:
    return sentence % values if values else sentence


def _in_english(sentence: str, **values: object) -> str:
    return _chinese(_english().get(sentence, sentence), **values)


def saying(language: str) -> Say:
    """Return the function that says sentences in ``"zh"`` or ``"en"``."""
    return _in_english if language == "en" else _chinese
