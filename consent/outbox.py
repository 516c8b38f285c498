"""How a one-time code leaves the house: the interface of a sending gateway, and one for development.

A code is handed over after the transaction that opened it has been committed: a code for a consent that
was rolled back must not reach anybody. The gateway looks the actor's address up itself; the consent room
never sees a telephone number.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class CodeMessage:
    """One code on its way to whoever ticked. The code appears in no repr."""

    actor_id: str
    consent_id: str
    code: str = field(repr=False)


class CodeSender(Protocol):
    """A gateway that brings codes to people, by SMS or e-mail."""

    def send(self, message: CodeMessage) -> None:
        """Hand the code over; raises when the gateway did not take it."""
        ...


_KEPT: Final = 200


class DevelopmentOutbox:
    """A gateway that keeps the last codes in memory, so that a demonstration can show them."""

    def __init__(self) -> None:
        self._messages: deque[CodeMessage] = deque(maxlen=_KEPT)

    def send(self, message: CodeMessage) -> None:
        """Keep the message instead of sending it."""
        self._messages.append(message)

    def messages(self) -> tuple[CodeMessage, ...]:
        """Return what was handed over, newest first."""
        return tuple(reversed(self._messages))
