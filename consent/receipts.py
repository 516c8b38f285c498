"""One consent as a receipt: what was agreed, with whom, on which text, and everything that became of it.

Pure. A JSON-LD document in the form of ISO/IEC TS 27560, with terms of DPV 2.3 and its context inlined, so
that it reads without a network. People are pseudonyms; no value, name or number of theirs is in it. The
bytes that are signed are canonical (RFC 8785): one document has one spelling, whoever writes it down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from consent.events import Capacity, Event, EventKind
from consent.lifelines import ANOTHER_GUARDIAN, GIVEN_TERM, Names, Status, history
from consent.listing import Consent
from consent.notices import Shown
from consent.particulars import Agreed, agreed, others, process
from consent.replaying import Life
from consent.superseding import NO_NOTICES, Notices
from consent.vocabulary import CONTEXT, RECEIPT, RECORD, said, typed, urn
from policies.book import RuleBook
from policies.instants import rfc3339


class RetiredTermsError(Exception):
    """The rules in force no longer know the consent's purpose or one of its categories."""


@dataclass(frozen=True, slots=True)
class Party:
    """The controller as the law wants it named (个人信息保护法 第十七条): who, where, how to reach it."""

    id: str
    name: str
    address: str
    contact: str


@dataclass(frozen=True, slots=True)
class Issue:
    """One handing out of a receipt. ``subject`` and ``actor`` are pseudonyms, ``at`` is in milliseconds.

    ``log_index`` is where the log says that this receipt was handed out; ``site`` is where the person
    withdraws and claims rights.
    """

    receipt_id: str
    at: int
    log_index: int
    subject: str
    actor: str
    controller: Party
    site: str


def receipt(
    consent: Consent,
    events: Sequence[Event],
    birth: date | None,
    book: RuleBook,
    issue: Issue,
    notice: Shown | None = None,
    notices: Notices = NO_NOTICES,
) -> dict[str, object]:
    """Return the receipt of a consent, unsigned. ``events`` are all of the subject's.

    ``notice`` is the text that was agreed to, if it is on record; ``notices`` are the versions of those that
    the events name: a later one can have ended the consent.

    Raises:
        RetiredTermsError: the rules no longer know what the consent is about.
    """
    if consent.terms.purpose not in book.purposes or not consent.terms.categories <= book.categories.keys():
        raise RetiredTermsError
    names = Names(issue.subject, issue.actor, issue.controller.id)
    life = Life(consent, events, birth, book, notices, issue.at)
    return {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{issue.receipt_id}",
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": issue.receipt_id,
        "dct:conformsTo": RECEIPT,
        "dct:created": rfc3339(issue.at),
        "dct:publisher": urn("party", issue.controller.id),
        "schema:recipient": urn("person", issue.subject),
        "hh:logIndex": issue.log_index,
        "dpv:hasRecordOfActivity": [_record(life, names, issue, notice)],
    }


def _record(life: Life, names: Names, issue: Issue, shown: Shown | None) -> dict[str, object]:
    consent, lines = life.consent, history(life, names)
    what = agreed(life, None if shown is None else shown.notice.contents)
    record_id = consent.consent_id.partition("_")[2]
    return {
        "@id": f"urn:uuid:{record_id}",
        "@type": "dpv:ConsentRecord",
        "dct:identifier": record_id,
        "dct:conformsTo": RECORD,
        "dct:created": rfc3339(consent.ticked_at),
        "dpv:hasDataSubject": {
            "@id": urn("person", issue.subject),
            "@type": ["dpv:DataSubject", "dpv:Child"] if what.of_child else ["dpv:DataSubject"],
            "dct:identifier": issue.subject,
        },
        "dpv:hasNotice": _notice(what, shown),
        "dpv:hasProcess": [process(what, life.book, issue.controller.id)],
        "dpv:hasEntity": _entities(what, issue, lines),
        "dpv:hasConsentControl": {
            "@type": ["dpv:WithdrawConsent"],
            "dpv:isExercisedAt": f"{issue.site}/centre/consents",
        },
        "dpv:hasRight": {
            "@type": "dpv:DataSubjectRight",
            "dct:title": said("撤回同意，查看谁看过我", "Withdraw consent, see who looked"),
            "dpv:isExercisedAt": f"{issue.site}/centre",
        },
        "dpv:hasConsentStatus": [_status(what, one, life.events) for one in lines],
    }


def _notice(what: Agreed, shown: Shown | None) -> dict[str, object]:
    notice, _, digest = what.consent.terms.notice.partition("#")
    name, _, version = notice.partition("@")
    node: dict[str, object] = {
        "@id": urn("notice", f"{name}:{version}"),
        "@type": "dpv:ConsentNotice",
        "dct:identifier": name,
        "dct:hasVersion": version,
        "hh:sha256": digest,
    }
    if shown is None:
        return node  # of a text that is not on record here only the digest is known
    node |= {"dct:language": shown.locale, "dct:date": rfc3339(shown.notice.published_at)}
    # What the notice tells of other controllers; this consent covers only the recipient of its processing.
    told = [urn("party", one) for one in what.told_recipients]
    return {**node, "dpv:hasRecipient": told} if told else node


_ROLES: Final = {
    Capacity.GUARDIAN: "dpv:GuardianOfDataSubject",
    Capacity.PRIMARY: "hh:PrimaryAccount",
}


def _entities(what: Agreed, issue: Issue, lines: Iterable[Status]) -> list[dict[str, object]]:
    controller = issue.controller
    found: list[dict[str, object]] = [
        {
            "@id": urn("party", controller.id),
            "@type": "dpv:DataController",
            "dpv:hasIdentifier": controller.id,
            "dpv:hasName": controller.name,
            "dpv:hasAddress": controller.address,
            "dpv:hasContact": controller.contact,
        },
        *others(what),
    ]
    role = _ROLES.get(Capacity(what.consent.capacity))
    if role is not None:
        found.append(_person(issue.actor, role))
    if any(one.by == urn("person", ANOTHER_GUARDIAN) for one in lines):
        found.append(_person(ANOTHER_GUARDIAN, _ROLES[Capacity.GUARDIAN]))
    return found


def _person(name: str, role: str) -> dict[str, object]:
    return {"@id": urn("person", name), "@type": role, "dct:identifier": name}


def _status(what: Agreed, one: Status, events: Iterable[Event]) -> dict[str, object]:
    lasts = one.ends_at is None
    duration: dict[str, object] = {"@type": "dpv:EndlessDuration" if lasts else "dpv:UntilTimeDuration"}
    if one.ends_at is not None:
        duration["rdf:value"] = typed("xsd:dateTime", rfc3339(one.ends_at))
    node: dict[str, object] = {
        "@type": one.term,
        "dpv:isIndicatedBy": one.by,
        "dpv:isIndicatedAtTime": rfc3339(one.at),
        "dpv:hasDuration": duration,
        "dpv:hasIndicationMethod": one.method,
    }
    if one.reason:
        node["hh:reason"] = one.reason
    if one.term != GIVEN_TERM:
        return node
    return {**node, "@type": [one.term, what.kind], **_delegation(what, events)}


def _delegation(what: Agreed, events: Iterable[Event]) -> dict[str, object]:
    """Return as what the giver acted, in the words of Kantara's draft on delegated authority."""
    consent = what.consent
    if consent.capacity == Capacity.SELF:
        return {"hh:delegationBasis": "self"}
    if consent.capacity == Capacity.PRIMARY:
        return {"hh:delegationBasis": "agent", "hh:delegationValidity": "while_primary"}
    # What a guardian agrees to for a child ends at 14; beside a teen's own consent it lasts until 18.
    until = "until_14" if what.of_child else "until_18"
    node: dict[str, object] = {"hh:delegationBasis": "guardian", "hh:delegationValidity": until}
    links = [
        e.event_id
        for e in events
        if e.kind == EventKind.GUARDIAN_LINKED
        and e.actor_id == consent.actor_id
        and e.occurred_at <= consent.ticked_at
    ]
    return {**node, "hh:delegationEvidence": urn("event", links[-1])} if links else node
