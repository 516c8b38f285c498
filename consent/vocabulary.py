"""The words a receipt is written in: the inlined JSON-LD context, and our words beside those of DPV 2.3.

Promises that nothing need be fetched to read a receipt: the context stands in every document. Only terms
that exist in DPV 2.3 are used (the guide to ISO/IEC TS 27560 names some that do not). DPV has no words for
Chinese law, so the articles of the 个人信息保护法 have a namespace of ours, each tied to a broader DPV basis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RECORD: Final = "https://w3id.org/dpv/schema/dpv-27560#record"
RECEIPT: Final = "https://w3id.org/dpv/schema/dpv-27560#receipt"
SIGNATURE: Final = "hh:signature"
"""The one member of a receipt that its signature does not cover, because it is the signature."""

_REFERENCES: Final = (
    *("dct:conformsTo", "dct:publisher", "schema:recipient", "skos:broader"),
    *("dpv:hasConsentStatus", "dpv:hasConsentControl", "dpv:hasDataController", "dpv:hasDataProcessor"),
    "dpv:hasDataSubject",
    *("dpv:hasEntity", "dpv:hasJurisdiction", "dpv:hasLegalBasis", "dpv:hasLocation", "dpv:hasNotice"),
    *("dpv:hasPersonalData", "dpv:hasProcess", "dpv:hasProcessing", "dpv:hasPurpose", "dpv:hasRecipient"),
    *("dpv:hasRecordOfActivity", "dpv:hasRight", "dpv:hasStorageCondition", "dpv:isExercisedAt"),
    *("dpv:isIndicatedBy", "hh:delegationEvidence"),
)
_INSTANTS: Final = ("dct:created", "dct:date", "dpv:isIndicatedAtTime")
_OWN: Final = "urn:household-governance:"

CONTEXT: Final[Mapping[str, object]] = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "loc": "https://w3id.org/dpv/loc#",
    "pd": "https://w3id.org/dpv/pd#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "schema": "https://schema.org/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "hh": f"{_OWN}terms:",
    "pipl": f"{_OWN}law:pipl:",
    **{term: {"@type": "@id"} for term in _REFERENCES},
    **{term: {"@type": "xsd:dateTime"} for term in _INSTANTS},
}


def urn(kind: str, name: str) -> str:
    """Return the name of a thing of ours: ``urn:household-governance:purpose:service.health``."""
    return f"{_OWN}{kind}:{name}"


_ARTICLES: Final = {
    "A13-1-1": ("第十三条第一款第一项", "Article 13(1)(i)"),
    "A23": ("第二十三条", "Article 23"),
    "A29": ("第二十九条", "Article 29"),
    "A31-1": ("第三十一条第一款", "Article 31(1)"),
    "A39": ("第三十九条", "Article 39"),
}


def article(number: str) -> dict[str, object]:
    """Return an article of the 个人信息保护法 as a legal basis that narrows DPV's consent.

    Consent itself is 第十三条第一款第一项; 第二十三条 asks for a separate one before data goes to another
    controller, 第二十九条 for sensitive data, 第三十九条 before it leaves the country, 第三十一条第一款 for a
    guardian's on behalf of a child.
    """
    zh, en = _ARTICLES[number]
    return {
        "@id": f"pipl:{number}",
        "@type": "dpv:LegalBasis",
        "skos:broader": "dpv:Consent",
        "dct:title": said(f"个人信息保护法 {zh}", f"Personal Information Protection Law, {en}"),
    }


def said(zh: str, en: str) -> list[dict[str, str]]:
    """Return a text in both languages."""
    return [{"@language": "zh", "@value": zh}, {"@language": "en", "@value": en}]


def typed(kind: str, value: str) -> dict[str, str]:
    """Return a literal with its XML Schema type."""
    return {"@type": kind, "@value": value}
