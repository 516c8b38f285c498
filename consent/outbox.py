"""How a one-time code leaves the house: the interface of a sending gateway, and one for development.

A code is handed over after the transaction that opened it has been committed: a code for a consent that
was rolled back must not reach anybody. The gateway looks the actor's address up itself; the consent room
never sees a telephone number. Whatever goes wrong, a gateway raises one error that says nothing, because
its cause could hold the number, the address or the code.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Protocol


class NotSentError(Exception):
    """The code was not handed over, or nobody can say whether it was; a new one may be asked for."""


@dataclass(frozen=True, slots=True)
class CodeMessage:
    """One code on its way to whoever ticked. Neither the code nor the link appears in a repr.

    ``link`` is the token with which a mail confirms by a button; ``minutes`` is how long both work.
    """

    actor_id: str
    consent_id: str
    code: str = field(repr=False)
    link: str = field(default="", repr=False)
    minutes: int = 0


class CodeSender(Protocol):
    """A gateway that brings codes to people, by SMS or e-mail."""

    def send(self, message: CodeMessage) -> None:
        """Hand the code over, once.

        Raises:
            NotSentError: the gateway did not take it, or did not say so in time.
        """
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
