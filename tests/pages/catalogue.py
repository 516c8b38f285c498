"""The sentences that pages and explanations say, gathered from templates and code."""

from __future__ import annotations

from pathlib import Path

from babel.messages.extract import extract_from_dir

import governance

PACKAGE = Path(governance.__file__).parent
_METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
_KEYWORDS = {"_": None, "say": None, "noted": None}


def said() -> set[str]:
    """Return every Chinese sentence that is marked for the catalogue."""
    found = extract_from_dir(PACKAGE, _METHODS, {"templates/**.html": {"silent": "false"}}, keywords=_KEYWORDS)
    return {str(message) for _, _, message, *_ in found if any("\u4e00" <= sign <= "\u9fff" or sign == "：" for sign in str(message))}
