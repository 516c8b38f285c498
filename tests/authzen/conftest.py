"""A policy enforcement point for the household, and one for each rule folder that is about other things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from authzen_calls import Pep

from governance.app import build
from governance.wiring import assemble

if TYPE_CHECKING:
    import living

HERE = Path(__file__).parent
FOLDERS = {"records": HERE / "record_book", "documents": HERE.parent / "policies" / "documents"}


@pytest.fixture
def crm(house: living.Living, wire: living.Wire) -> Pep:
    """The CRM of the seeded household."""
    return Pep(house, wire)


@pytest.fixture
def under(request: pytest.FixtureRequest, house: living.Living) -> Iterator[Pep]:
    """The CRM of a house that was started with another rule folder; the test names it by ``indirect``."""
    import living  # noqa: PLC0415 - imports every room

    settings = replace(house.settings, rules=FOLDERS[request.param], rules_given=True)
    service = assemble(settings, clock=house.clock)
    house = replace(house, settings=settings, service=service)
    wire = living.Wire(build(service))
    yield Pep(house, wire)
    wire.close()
