"""What a process needs around the log, wired once: one place, so that the service stays a short list."""

from __future__ import annotations

from dataclasses import dataclass

from governance.checkpoints import Checkpoints
from governance.overseeing import OversightRoom


@dataclass(frozen=True, slots=True)
class LogRoom:
    """The log's desks."""

    checkpoints: Checkpoints
    oversight: OversightRoom
