"""Withdrawing everywhere in one call: by session or service, by opt-out link, by a word in a text message.

A guardian does the same for a ward. Promises that none of these needs a key of data, a code, an approval or
rules that can be used (个人信息保护法 第十五条: 便捷的撤回同意的方式; 第四十四条); that the withdrawal,
the epoch and the log entry commit together; that an opt-out link ends one purpose of one person and can be
used for nothing else; and that whoever sends a text learns nothing from the answer, whether the number is
known or not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection
from datetime import date
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from audit import ledger
from audit.entry import ActorType, Party, Verdict
from consent import eventlog, registry
from consent.ages import CONSENT_AGE, age_on
from consent.events import Capacity
from consent.facts import above
from consent.listing import consents_in
from governance import announcing, subjects, testimony
from governance.acting import NoSuchConsentError, On, evidence_of, guardian_for, log_act, names_for
from governance.announcing import Told
from governance.database import Database, OpenTransaction
from governance.identity import Caller
from governance.rulekeeping import RuleKeeper, RulesUnavailableError
from governance.showing import UnfitConsentError
from governance.testimony import Said, party
from policies.terms import Purpose, SubjectId
from policies.transaction import Transaction

BirthsOf = Callable[[Transaction, Collection[SubjectId]], dict[SubjectId, date | None]]

MARKETING: Final = "marketing"
"""What a word sent as a text message ends: every promotion, on every channel."""

_WORDS: Final = frozenset(
    {
        *("td", "tdhf", "t", "n", "r", "qx", "0000", "00000"),
        *("stop", "stopall", "unsubscribe", "cancel", "quit", "end", "optout"),
        *("退订", "退訂", "拒收", "取消", "取消订阅", "不要", "拒绝", "拒絕", "不再接收"),
    }
)
"""What counts as an opt-out, and nothing longer: a sentence is for a person to read.

The words that an outgoing text may offer for it are in the lexicon (``required.toml``).
"""
_NO_WORD: Final = re.compile(r"[\W_]+")
_LONGEST: Final = 200
_LABEL: Final = b"gov/optout/v1"
_BOUND: Final = [b"opt-out link"]


class OptOut(NamedTuple):
    """What a link ends: one purpose, with all below it, of one person."""

    subject: SubjectId
    purpose: Purpose


class Links:
    """Makes and reads opt-out links. They never expire: an old mail's link must work.

    Sealed deterministically (AES-SIV, RFC 5297): nobody else can make one, and it tells nobody whose it is.
    """

    def __init__(self, key: bytes) -> None:
        self._sealed = AESSIV(hmac.digest(key, _LABEL, hashlib.sha512))

    def make(self, subject: SubjectId, purpose: Purpose) -> str:
        """Return the token of a link."""
        sealed = self._sealed.encrypt(f"{subject} {purpose}".encode(), _BOUND)
        return urlsafe_b64encode(sealed).decode().rstrip("=")

    def read(self, token: str) -> OptOut | None:
        """Return what a link ends, or None for anything that was not made here."""
        if len(token) > _LONGEST or not token.isascii():
            return None
        try:
            sealed = b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
            subject, _, purpose = self._sealed.decrypt(sealed, _BOUND).decode().partition(" ")
        except (ValueError, InvalidTag):
            return None
        found = OptOut(SubjectId(subject), Purpose(purpose))
        return found if self.make(*found) == token else None


def says_no(text: str) -> bool:
    """Say whether a text is one of the words for opting out, however it is written."""
    plain = unicodedata.normalize("NFKC", text[:_LONGEST]).casefold()
    return _NO_WORD.sub("", plain) in _WORDS


class OptingOut:
    """The desk for withdrawing everywhere. ``bearer_of`` finds a member by number, or an id nobody has."""

    def __init__(
        self,
        database: Database,
        keeper: RuleKeeper,
        links: Links,
        bearer_of: Callable[[str], SubjectId],
        births_of: BirthsOf,
    ) -> None:
        self._database = database
        self._keeper = keeper
        self._bearer_of = bearer_of
        self._births_of = births_of
        self.links = links

    def everywhere(self, on: On, purpose: str, now: int) -> int:
        """Withdraw all the member agreed to, or with a purpose that and all below it; return since when.

        Raises:
            NoSuchConsentError: there is no such member.
            UnfitConsentError: neither the rules nor the member ever knew such a purpose.
        """
        if purpose and not self._is_known(on.member, purpose):
            raise UnfitConsentError
        actor = registry.Actor(on.member, Capacity.SELF, evidence_of(on))
        since = self._end(actor, purpose, now, on.request_id, on.caller)
        if since is None:
            raise NoSuchConsentError
        return since

    def for_ward(self, on: On, ward: SubjectId, purpose: str, now: int) -> int:
        """Withdraw as a guardian: for a child all consents, from 14 on what this guardian agreed to.

        A child whose birth date is not known or does not open is under 14: a withdrawal needs no key.

        Raises:
            NoSuchConsentError: there is no such member, or none whose guardian this member is.
            UnfitConsentError: neither the rules nor the ward ever knew such a purpose.
        """
        with self._database.reading() as tx:
            guardian_for(tx, on, ward, now)
        if purpose and not self._is_known(ward, purpose):
            raise UnfitConsentError
        with self._database.transaction() as tx:
            if ward not in subjects.change(tx, [ward]):
                raise NoSuchConsentError
            actor = guardian_for(tx, on, ward, now)
            birth = self._births_of(tx, [ward]).get(ward)
            grown = birth is not None and age_on(birth, now) >= CONSENT_AGE
            end = self._end_given if grown else self._end_all
            since = end(tx, actor, ward, purpose, on, now)
            tx.commit()
            return since

    def _end_all(
        self, tx: OpenTransaction, actor: registry.Actor, ward: SubjectId, purpose: str, on: On, now: int
    ) -> int:
        since = registry.opt_out(tx, ward, purpose, actor, now)
        what = {"policy": self._keeper.fingerprint(tx), "purpose": purpose}
        index = log_act(tx, "consent.withdrawn", on, ward, now, dec=Verdict.PERMIT, **what)
        announcing.announce(tx, [announcing.of_subject(Told.REVOKED, ward, index, now, purpose)])
        return since

    def _end_given(
        self, tx: OpenTransaction, actor: registry.Actor, ward: SubjectId, purpose: str, on: On, now: int
    ) -> int:
        """Withdraw one by one, each with its entry, because what the ward agreed to alone stays."""
        since = now
        for one in consents_in(eventlog.events_of(tx, [ward])[ward]):
            given = (one.actor_id, one.capacity) == (actor.id, Capacity.GUARDIAN)
            if not given or (purpose and purpose not in above(one.terms.purpose)):
                continue
            since = registry.withdraw(tx, ward, one.consent_id, actor, now)
            if one.withdrawn_at is None:
                what = {"policy": self._keeper.fingerprint(tx), "purpose": one.terms.purpose}
                what["resource"] = one.consent_id
                index = log_act(tx, "consent.withdrawn", on, ward, now, dec=Verdict.PERMIT, **what)
                announcing.announce(tx, [announcing.of_consent(Told.REVOKED, one, index, since)])
        return since

    def _is_known(self, member: str, purpose: str) -> bool:
        """Say whether a purpose can be meant: a mistyped one would be a withdrawal of nothing."""
        try:
            known = set(map(str, self._keeper.latest.book.purposes))
        except RulesUnavailableError:
            return True
        with self._database.reading() as tx:
            known |= {event.purpose for event in eventlog.events_of(tx, [member])[member]}
        return any(purpose in above(one) for one in known)

    def by_link(self, token: str, request_id: str, now: int) -> OptOut | None:
        """End what a link names; None where it names nothing. Using it again changes nothing."""
        link = self.links.read(token)
        if link is None:
            return None
        actor = registry.Actor(link.subject, Capacity.SELF, {"request": request_id, "via": "link"})
        return None if self._end(actor, link.purpose, now, request_id, None) is None else link

    def by_text(self, caller: Caller, number: str, text: str, request_id: str, now: int) -> None:
        """End all promotion to whoever has the number if the text says no; else do nothing."""
        subject = self._bearer_of(number)
        if says_no(text):
            evidence = {"request": request_id, "via": caller.actor_id}
            self._end(registry.Actor(subject, Capacity.SELF, evidence), MARKETING, now, request_id, caller)

    def _end(
        self, actor: registry.Actor, purpose: str, now: int, request_id: str, caller: Caller | None
    ) -> int | None:
        subject = SubjectId(actor.id)
        with self._database.transaction() as tx:
            if subject not in subjects.change(tx, [subject]):
                return None
            since = registry.opt_out(tx, subject, purpose, actor, now)
            names = names_for(tx, {subject})
            through = _LINK if caller is None else party(caller.actor_id, names)
            said = Said("consent.withdrawn", through, subject, subject, "", purpose, request_id)
            entry = testimony.of_own_say(said, names, self._keeper.fingerprint(tx), now)
            index = ledger.append(tx, [entry])[0].index
            announcing.announce(tx, [announcing.of_subject(Told.WITHDRAWN, subject, index, now, purpose)])
            tx.commit()
            return since


_LINK: Final = Party(ActorType.SYSTEM, "opt_out_link")
