"""Receipts: one consent, written down, signed, and handed to whoever may have it.

Promises that the log says who got a receipt before it is signed, that it verifies without us (Ed25519 over
its canonical bytes, the published key), and that it names people by pseudonyms of its own, which lead
neither to the log nor to a person.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

import uuid_utils

from consent import receipts
from consent.receipts import Issue, Party
from governance.acting import On
from governance.consenting import Consenting
from governance.outside import Outside
from governance.signing import DocumentSigner

MEDIA_TYPE: Final = "application/ld+json"
TYPE: Final = "consent-receipt"
"""What a receipt's signature says it is a signature of."""


class Receipts:
    """Hands out receipts."""

    def __init__(
        self, consenting: Consenting, signer: DocumentSigner, names_key: bytes, tenant: str, outside: Outside
    ) -> None:
        self._consenting = consenting
        self.signer = signer
        self._names_key = names_key
        self._controller = Party(tenant, outside.name, outside.address, outside.contact)
        self._site = outside.site

    def give(self, on: On | None, consent_id: str, now: int) -> bytes:
        """Return the signed receipt of a consent, to the operator without ``on``; the log has it first."""
        given = self._consenting.give_out(on, consent_id, "consent.receipted", now)
        issue = Issue(
            receipt_id=str(uuid_utils.uuid7()),
            at=now,
            log_index=given.log_index,
            subject=self._name(given.consent.subject_id),
            actor=self._name(given.consent.actor_id),
            controller=self._controller,
            site=self._site,
        )
        document = receipts.receipt(
            given.consent, given.events, given.birth, given.book, issue, given.notice, given.notices
        )
        return self.signer.sign(document)

    def _name(self, member_id: str) -> str:
        return hmac.digest(self._names_key, member_id.encode(), hashlib.sha256).hex()[:32]
