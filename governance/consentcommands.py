"""``governance consent``: how a member's consents stand, and a consent's signed receipt, for an operator.

Both are readings of a member's data: the log has them first, under the operator, and the member sees them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from audit.entry import Verdict
from consent import registry
from consent.listing import Consent
from consent.receipts import RetiredTermsError
from governance import importcommands, subjects
from governance.acting import NoSuchConsentError, log_act
from governance.api.consents import consent_body
from governance.commands import DONE, FAILED, settings
from governance.subjects import Hold
from governance.times import local
from governance.wiring import Service, assemble
from policies.reasons import Reason
from policies.terms import SubjectId


def add_to(consent: argparse.ArgumentParser, spoken: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    names = consent.add_subparsers(dest="what", required=True, metavar="WHAT")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        one = names.add_parser(name, help=text, description=text, parents=[spoken])
        one.set_defaults(run=run)
        return one

    add("show", show, "a member's consents and how each stands").add_argument("member")
    importcommands.add_to(names, spoken)
    add("receipt", receipt, "a consent's signed receipt, as JSON-LD").add_argument("consent_id")


@contextmanager
def _service() -> Iterator[Service]:
    service = assemble(settings())
    try:
        yield service
    finally:
        service.close()


def show(chosen: argparse.Namespace) -> int:
    """Show a member's consents, oldest first."""
    with _service() as service:
        listed = service.keeper.attempt(lambda: _listed(service, SubjectId(chosen.member)))
    if listed is None:
        print("没有这位成员 / no such member", file=sys.stderr)
        return FAILED
    if chosen.json:
        print(json.dumps({"data": [consent_body(*one, "en") for one in listed]}, ensure_ascii=False))
        return DONE
    for consent, state in listed:
        print(
            f"{consent.consent_id}  {consent.terms.purpose}  {' '.join(sorted(consent.terms.categories))}  "
            f"{local(consent.ticked_at):%Y-%m-%d %H:%M}  {state.sentence('zh')} / {state.sentence('en')}"
        )
    return DONE


def _listed(service: Service, member: SubjectId) -> tuple[tuple[Consent, Reason], ...] | None:
    now = service.clock()
    with service.database.transaction() as tx:
        if member not in subjects.rows_of(tx, [member], Hold.DECIDE):
            return None
        book = service.keeper.in_force(tx).rules.book
        listed = registry.consents_of(tx, member, service.opening.birth_of(tx, member), now, book)
        policy = service.keeper.fingerprint(tx)
        log_act(tx, "consent.shown", None, member, now, dec=Verdict.PERMIT, policy=policy)
        tx.commit()
        return listed


def receipt(chosen: argparse.Namespace) -> int:
    """Print a receipt, byte for byte as it was signed."""
    with _service() as service:
        try:
            text = service.receipts.give(None, chosen.consent_id, service.clock())
        except NoSuchConsentError:
            print("没有这项同意 / no such consent", file=sys.stderr)
            return FAILED
        except RetiredTermsError:
            print("现行规则已没有它的目的或类别 / the rules no longer know what it is about", file=sys.stderr)
            return FAILED
    # No line end: one byte more would not verify.
    print(text.decode(), end="")
    return DONE
