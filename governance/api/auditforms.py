"""The bodies of the officers' saved searches."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from audit.search import LONGEST
from governance.api.forms import Form, Impersonal

_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"


class SavedSearchForm(Form):
    """A search to keep: its name, and the line of the search box."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=_LINE), Impersonal]
    q: Annotated[str, StringConstraints(max_length=LONGEST), Impersonal]
