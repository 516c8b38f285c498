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

from consent.ages import age_on
from consent.events import Capacity, Event, EventKind
from consent.lifelines import Life, Names, Status, history
from consent.listing import Consent
from consent.notices import Shown
from consent.superseding import NO_NOTICES, Notices
from consent.vocabulary import CONTEXT, RECEIPT, RECORD, article, said, urn
from consent.weighing import tier_under
from policies.book import RuleBook
from policies.entries import PurposeEntry
from policies.instants import rfc3339
from policies.terms import Category, Purpose, Tier


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
    life = Life(consent, events, birth, book, notices, issue.at, names)
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
        "dpv:hasRecordOfActivity": [_record(life, issue, notice)],
    }


def _record(life: Life, issue: Issue, shown: Shown | None) -> dict[str, object]:
    consent = life.consent
    record_id = consent.consent_id.partition("_")[2]
    notice, _, digest = consent.terms.notice.partition("#")
    name, _, version = notice.partition("@")
    subject = urn("person", issue.subject)
    guarded = consent.capacity == Capacity.GUARDIAN
    return {
        "@id": f"urn:uuid:{record_id}",
        "@type": "dpv:ConsentRecord",
        "dct:identifier": record_id,
        "dct:conformsTo": RECORD,
        "dct:created": rfc3339(consent.ticked_at),
        "dpv:hasDataSubject": {
            "@id": subject,
            # Only where a guardian consented: that alone says that the person was a child.
            "@type": ["dpv:DataSubject", "dpv:Child"] if guarded else ["dpv:DataSubject"],
            "dct:identifier": issue.subject,
        },
        "dpv:hasNotice": {
            "@id": urn("notice", f"{name}:{version}"),
            "@type": "dpv:ConsentNotice",
            "dct:identifier": name,
            "dct:hasVersion": version,
            # Of a text that is not on record here only the digest is known; services ask in Chinese.
            "dct:language": "zh" if shown is None else shown.locale,
            "hh:sha256": digest,
        },
        "dpv:hasProcess": [_process(life, issue, shown)],
        "dpv:hasEntity": _entities(consent, issue),
        "dpv:hasConsentControl": {
            "@type": ["dpv:WithdrawConsent"],
            "dpv:isExercisedAt": f"{issue.site}/centre/consents",
        },
        "dpv:hasRight": {
            "@type": "dpv:DataSubjectRight",
            "dct:title": said("撤回同意，查看谁看过我", "Withdraw consent, see who looked"),
            "dpv:isExercisedAt": f"{issue.site}/centre",
        },
        "dpv:hasConsentStatus": [_status(consent, one, life.events) for one in history(life)],
    }


def _process(life: Life, issue: Issue, shown: Shown | None) -> dict[str, object]:
    consent, book = life.consent, life.book
    terms = consent.terms
    purpose = book.purposes[Purpose(terms.purpose)]
    controller = urn("party", issue.controller.id)
    age = None if life.birth is None else age_on(life.birth, consent.ticked_at)
    tiers = {
        name: tier_under(lambda limit: age is None or age < limit, book, name)
        for name in sorted(terms.categories)
    }
    grave = any(tier in (Tier.SENSITIVE, Tier.CLOSED) for tier in tiers.values())
    days = min(purpose.consent_days, book.limits.sensitive_consent_days) if grave else purpose.consent_days
    # Where no notice on record says so, nothing is kept for longer than the consent can last.
    kept = days if shown is None else shown.notice.contents.retention_days
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": _purpose(purpose),
        "dpv:hasPersonalData": [_data(Category(name), tier, book) for name, tier in tiers.items()],
        "dpv:hasProcessing": _operations(purpose, terms.recipient),
        "dpv:hasLegalBasis": _bases(consent, purpose, grave=grave),
        "dpv:hasDataController": controller,
        "dpv:hasRecipient": urn("party", terms.recipient) if terms.recipient else controller,
        "dpv:hasJurisdiction": "loc:CN",
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageLocation", "dpv:hasLocation": "loc:CN"},
            {"@type": "dpv:StorageDuration", "dpv:hasDuration": _typed("xsd:duration", f"P{kept}D")},
        ],
    }


def _purpose(purpose: PurposeEntry) -> dict[str, object]:
    node: dict[str, object] = {
        "@id": urn("purpose", purpose.id),
        "@type": "dpv:Purpose",
        "dct:title": said(purpose.title.zh, purpose.title.en),
    }
    return {**node, "skos:broader": purpose.dpv} if purpose.dpv else node


def _data(category: Category, tier: Tier | None, book: RuleBook) -> dict[str, object]:
    entry = book.categories[category]
    grave = tier in (Tier.SENSITIVE, Tier.CLOSED)
    node: dict[str, object] = {
        "@id": urn("category", category),
        "@type": ["dpv:PersonalData", "dpv:SensitivePersonalData"] if grave else ["dpv:PersonalData"],
        "dct:identifier": str(category),
        "dct:title": said(entry.title.zh, entry.title.en),
    }
    return {**node, "skos:broader": entry.dpv} if entry.dpv else node


def _operations(purpose: PurposeEntry, recipient: str) -> list[str]:
    found = ["dpv:Collect", "dpv:Store", "dpv:Use"]
    if purpose.profiled:
        found.append("dpv:Profiling")
    if recipient:
        found.append("dpv:Share")
    return found


def _bases(consent: Consent, purpose: PurposeEntry, *, grave: bool) -> list[object]:
    explicit = purpose.separate or grave or consent.terms.recipient
    found: list[object] = [
        "dpv:ExplicitlyExpressedConsent" if explicit else "dpv:ExpressedConsent",
        article("A13-1-1"),
    ]
    if consent.terms.recipient:
        found.append(article("A23"))
    if grave:
        found.append(article("A29"))
    if consent.capacity == Capacity.GUARDIAN:
        found.append(article("A31-1"))
    return found


_ROLES: Final = {
    Capacity.GUARDIAN: "dpv:GuardianOfDataSubject",
    Capacity.PRIMARY: "hh:PrimaryAccount",
}


def _entities(consent: Consent, issue: Issue) -> list[dict[str, object]]:
    controller = issue.controller
    found: list[dict[str, object]] = [
        {
            "@id": urn("party", controller.id),
            "@type": "dpv:DataController",
            "dpv:hasIdentifier": controller.id,
            "dpv:hasName": controller.name,
            "dpv:hasAddress": controller.address,
            "dpv:hasContact": controller.contact,
        }
    ]
    role = _ROLES.get(Capacity(consent.capacity))
    if role is not None:
        found.append({"@id": urn("person", issue.actor), "@type": role, "dct:identifier": issue.actor})
    return found


def _status(consent: Consent, one: Status, events: Iterable[Event]) -> dict[str, object]:
    lasts = one.ends_at is None
    duration: dict[str, object] = {"@type": "dpv:EndlessDuration" if lasts else "dpv:UntilTimeDuration"}
    if one.ends_at is not None:
        duration["rdf:value"] = _typed("xsd:dateTime", rfc3339(one.ends_at))
    node: dict[str, object] = {
        "@type": one.term,
        "dpv:isIndicatedBy": one.by,
        "dpv:isIndicatedAtTime": rfc3339(one.at),
        "dpv:hasDuration": duration,
        "dpv:hasIndicationMethod": one.method,
    }
    given = one.term == "dpv:ConsentGiven"
    return {**node, **_delegation(consent, events)} if given else node


def _delegation(consent: Consent, events: Iterable[Event]) -> dict[str, object]:
    """Return as what the giver acted, in the words of Kantara's draft on delegated authority."""
    if consent.capacity == Capacity.SELF:
        return {"hh:delegationBasis": "self"}
    if consent.capacity == Capacity.PRIMARY:
        return {"hh:delegationBasis": "agent", "hh:delegationValidity": "while_primary"}
    node: dict[str, object] = {"hh:delegationBasis": "guardian", "hh:delegationValidity": "until_14"}
    links = [
        e.event_id
        for e in events
        if e.kind == EventKind.GUARDIAN_LINKED
        and e.actor_id == consent.actor_id
        and e.occurred_at <= consent.ticked_at
    ]
    return {**node, "hh:delegationEvidence": urn("event", links[-1])} if links else node


def _typed(kind: str, value: str) -> dict[str, str]:
    return {"@type": kind, "@value": value}
