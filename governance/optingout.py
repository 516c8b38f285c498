"""Withdrawing everywhere in one call: by session or service, by opt-out link, by a word in a text message.

Promises that none of the three needs a key of data, a code, an approval or rules that can be used
(个人信息保护法 第十五条: 便捷的撤回同意的方式; 第四十四条); that the withdrawal, the epoch and the log entry
commit together; that an opt-out link ends one purpose of one person and can be used for nothing else; and
that whoever sends a text learns nothing from the answer, whether the number is known or not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from audit import ledger
from audit.entry import ActorType, Party
from consent import eventlog, registry
from consent.events import Capacity
from consent.facts import above
from governance import announcing, subjects, testimony
from governance.acting import NoSuchConsentError, On, evidence_of
from governance.database import Database
from governance.identity import Caller
from governance.rulekeeping import RuleKeeper, RulesUnavailableError
from governance.showing import UnfitConsentError
from governance.testimony import Said, party
from policies.terms import Purpose, SubjectId

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
        self, database: Database, keeper: RuleKeeper, links: Links, bearer_of: Callable[[str], SubjectId]
    ) -> None:
        self._database = database
        self._keeper = keeper
        self._bearer_of = bearer_of
        self.links = links

    def everywhere(self, on: On, purpose: str, now: int) -> int:
        """Withdraw all the member agreed to, or with a purpose that and all below it; return since when.

        Raises:
            NoSuchConsentError: there is no such member.
            UnfitConsentError: neither the rules nor the member ever knew such a purpose.
        """
        if purpose and not self._is_known(on, purpose):
            raise UnfitConsentError
        actor = registry.Actor(on.member, Capacity.SELF, evidence_of(on))
        since = self._end(actor, purpose, now, on.request_id, on.caller)
        if since is None:
            raise NoSuchConsentError
        return since

    def _is_known(self, on: On, purpose: str) -> bool:
        """Say whether a purpose can be meant: a mistyped one would be a withdrawal of nothing."""
        try:
            known = set(map(str, self._keeper.latest.book.purposes))
        except RulesUnavailableError:
            return True
        with self._database.reading() as tx:
            known |= {event.purpose for event in eventlog.events_of(tx, [on.member])[on.member]}
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
            names = ledger.pseudonyms(tx, {subject})
            through = _LINK if caller is None else party(caller.actor_id, names)
            said = Said("consent.withdrawn", through, subject, subject, "", purpose, request_id)
            entry = testimony.of_own_say(said, names, self._keeper.fingerprint(tx), now)
            index = ledger.append(tx, [entry])[0].index
            announcing.announce(
                tx, [announcing.of_subject(announcing.Told.WITHDRAWN, subject, index, now, purpose)]
            )
            tx.commit()
            return since


_LINK: Final = Party(ActorType.SYSTEM, "opt_out_link")
