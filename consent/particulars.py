"""What a receipt says of the processing that was agreed to: which data, what for, by whom, where, how long.

Pure. What the notice on record says is told as it says it; without one, what the rules say and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from consent.ages import CONSENT_AGE, age_on
from consent.events import Capacity
from consent.listing import Consent
from consent.notices import Contents
from consent.replaying import Life
from consent.vocabulary import article, said, typed, urn
from consent.weighing import tier_under
from policies.book import RuleBook
from policies.entries import PurposeEntry
from policies.terms import Category, Purpose, Tier

_HOME: Final = "cn"
METHODS: Final = {
    "collect": ("dpv:Collect",),
    "store": ("dpv:Store",),
    "use": ("dpv:Use",),
    "refine": ("dpv:Transform",),
    "transmit": ("dpv:Transmit",),
    "provide": ("dpv:Share",),
    "publish": ("dpv:MakeAvailable",),
    "delete": ("dpv:Erase",),
    "automated_decision": ("dpv:Analyse", "dpv:Assess"),
}
"""How DPV calls what a notice says is done (个人信息保护法 第四条第二款、第七十三条第二项)."""


class Agreed(NamedTuple):
    """What one consent covers. ``contents`` is what its notice says, None where none is on record.

    ``tiers`` are those of the person at the tick.
    """

    consent: Consent
    purpose: PurposeEntry
    contents: Contents | None
    tiers: dict[str, Tier | None]
    of_child: bool

    @property
    def is_grave(self) -> bool:
        """Whether some of the data is sensitive or closed for this person."""
        return any(tier in (Tier.SENSITIVE, Tier.CLOSED) for tier in self.tiers.values())

    @property
    def region(self) -> str:
        """Where the data is kept; this country where no notice says otherwise."""
        return _HOME if self.contents is None else self.contents.region

    @property
    def processors(self) -> list[str]:
        """Who works on the data for the controller, as the notice names them."""
        return [] if self.contents is None else sorted(self.contents.processors)

    @property
    def told_recipients(self) -> list[str]:
        """The other controllers that the notice names. The consent covers only the one it names itself."""
        return [] if self.contents is None else sorted(self.contents.recipients)

    @property
    def goes_abroad(self) -> bool:
        """Whether what was agreed to crosses the border: kept, given or worked on elsewhere."""
        places = [_region_of(one) for one in (self.consent.terms.recipient, *self.processors)]
        return any(place != _HOME for place in (self.region, *places))

    @property
    def is_explicit(self) -> bool:
        """Whether the law asks for a separate consent (个人信息保护法 第二十三条、第二十九条、第三十九条)."""
        given_on = bool(self.consent.terms.recipient)
        return self.purpose.separate or self.is_grave or given_on or self.goes_abroad

    @property
    def kind(self) -> str:
        """What type of consent this is, in DPV's words."""
        return "dpv:ExplicitlyExpressedConsent" if self.is_explicit else "dpv:ExpressedConsent"


def agreed(life: Life, contents: Contents | None) -> Agreed:
    """Return what the consent covers, by the person's age at the tick."""
    terms = life.consent.terms
    age = None if life.birth is None else age_on(life.birth, life.consent.ticked_at)
    tiers = {
        name: tier_under(lambda limit: age is None or age < limit, life.book, name)
        for name in sorted(terms.categories)
    }
    purpose = life.book.purposes[Purpose(terms.purpose)]
    return Agreed(life.consent, purpose, contents, tiers, age is not None and age < CONSENT_AGE)


def process(what: Agreed, book: RuleBook, controller: str) -> dict[str, object]:
    """Return the processing that was agreed to."""
    purpose, contents, recipient = what.purpose, what.contents, what.consent.terms.recipient
    limit = book.limits.sensitive_consent_days
    days = min(purpose.consent_days, limit) if what.is_grave else purpose.consent_days
    # Where no notice on record says so, nothing is kept for longer than the consent can last.
    kept = days if contents is None else contents.retention_days
    node: dict[str, object] = {
        "@type": "dpv:Process",
        "dpv:hasPurpose": _purpose(purpose),
        "dpv:hasPersonalData": [_data(Category(name), tier, book) for name, tier in what.tiers.items()],
        "dpv:hasProcessing": _operations(what),
        "dpv:hasLegalBasis": [what.kind, *(article(one) for one in _articles(what))],
        "dpv:hasDataController": urn("party", controller),
        "dpv:hasRecipient": urn("party", recipient or controller),
        "dpv:hasJurisdiction": "loc:CN",
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageLocation", "dpv:hasLocation": _place(what.region)},
            {"@type": "dpv:StorageDuration", "dpv:hasDuration": typed("xsd:duration", f"P{kept}D")},
        ],
    }
    processors = [urn("party", one) for one in what.processors]
    return {**node, "dpv:hasDataProcessor": processors} if processors else node


def others(what: Agreed) -> Iterator[dict[str, object]]:
    """Yield the parties beside the controller, with what is known of them: an id and a country."""
    recipient = what.consent.terms.recipient
    for one in sorted({recipient, *what.told_recipients} - {"", *what.processors}):
        yield _party(one, "dpv:ThirdParty")
    for one in what.processors:
        yield _party(one, "dpv:DataProcessor")


def _party(name: str, kind: str) -> dict[str, object]:
    return {
        "@id": urn("party", name),
        "@type": kind,
        "dpv:hasIdentifier": name.partition("@")[0],
        "dpv:hasLocation": _place(_region_of(name)),
    }


def _region_of(party: str) -> str:
    return party.partition("@")[2] or _HOME


def _place(region: str) -> str:
    return f"loc:{region.upper()}"


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


def _operations(what: Agreed) -> list[str]:
    if what.contents is None:
        found = ["dpv:Collect", "dpv:Store", "dpv:Use"]
        found += ["dpv:Share"] if what.consent.terms.recipient else []
    else:
        told = what.contents.methods
        found = [term for method, terms in METHODS.items() if method in told for term in terms]
    if what.purpose.profiled:
        found.append("dpv:Profiling")
    if what.goes_abroad:
        found.append("dpv:CrossBorderTransfer")
    return found


def _articles(what: Agreed) -> Iterator[str]:
    yield "A13-1-1"
    if what.consent.terms.recipient:
        yield "A23"
    if what.is_grave:
        yield "A29"
    if what.of_child and what.consent.capacity == Capacity.GUARDIAN:
        yield "A31-1"
    if what.goes_abroad:
        yield "A39"
