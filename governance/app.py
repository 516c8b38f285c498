"""The ASGI application: routers behind the door, over one wired service."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from audit.ledger import LogError
from audit.lockstore import LockStoreError
from audit.publishing import NotPublishedError
from governance import confirming, pages, signin
from governance.api import (
    approvals,
    auditlog,
    authzen,
    consents,
    discovery,
    events,
    graph,
    homes,
    logexports,
    members,
    messages,
    notices,
    operations,
    optouts,
    oversight,
    proofs,
    reads,
    rights,
    searches,
    sharing,
    tickets,
)
from governance.centre import mine, optout
from governance.collecting import Collector
from governance.console import accesses, decisions, logsearch
from governance.console import rights as rights_page
from governance.database import StoreError
from governance.delivering import Worker
from governance.door import Door, on_http, on_invalid, walks_of
from governance.wiring import Service
from governance.witnessing import WitnessWorker
from policies.terms import Assurance


def build(service: Service, *, delivering: bool = False) -> FastAPI:
    """Return the application for a wired service; with ``delivering`` its process also feeds webhooks."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.finder.ready()
        # Rules, templates and the finder's tables live as long as the process: the collector of cycles
        # need not walk through them again and again while requests wait.
        gc.freeze()
        gc.enable()
        app.state.collector = Collector(service.gate, service.clock, inline=lambda: _inline(service))
        signing = asyncio.create_task(service.log.checkpoints.keep_publishing(service.clock))
        settling = asyncio.create_task(service.log.book.keep_settled())
        indexing = asyncio.create_task(service.log.search.keep_indexing())
        worker = Worker(service.delivering) if delivering else None
        if worker is not None:
            worker.start()
        watched = WitnessWorker(service.log.witnessing)
        watched.start()
        yield
        if worker is not None:
            await asyncio.to_thread(worker.stop)
        await asyncio.to_thread(watched.stop)
        signing.cancel()
        settling.cancel()
        indexing.cancel()
        app.state.collector.close()
        with suppress(StoreError, LockStoreError, NotPublishedError, LogError):
            service.log.settle()
            service.log.checkpoints.publish(service.clock())
        service.close()

    app = _application(lifespan)
    app.state.service = service
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    walks = walks_of([reads.router, messages.router, authzen.router])
    app.add_middleware(Door, page_for=pages.problem_page, walks=walks)
    return app


def _inline(service: Service) -> bool:
    """Say whether a batch may run on the event loop: never where it might wait for a witness."""
    fields = service.rules.book.fields.values()
    return service.database.inline and all(one.record is not Assurance.WITNESSED for one in fields)


def describe() -> dict[str, Any]:
    """Return the OpenAPI document; it needs no service."""
    return _application(None).openapi()


def _application(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None) -> FastAPI:
    app = FastAPI(
        title="Household governance",
        version="0.1.0",
        lifespan=lifespan,
        # The bundled documentation pages load scripts from elsewhere and break the content policy.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # A redirect to the other spelling of a path would repeat the path and the Host header.
        redirect_slashes=False,
        # The framework's own telemetry would record validation failures with what was sent.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in (
        reads.router,
        messages.router,
        consents.router,
        events.router,
        members.router,
        operations.router,
    ):
        app.include_router(router)
    for authzen_router in (authzen.router, searches.router, discovery.router):
        app.include_router(authzen_router)
    for further in (
        notices.router,
        oversight.reviews,
        oversight.lifts,
        oversight.asking,
        tickets.router,
        graph.router,
        homes.router,
        approvals.router,
        approvals.mine,
        sharing.router,
        rights.mine,
        rights.router,
        auditlog.router,
        logexports.router,
    ):
        app.include_router(further)
    # Entry bundles stand before hash tiles: "entries" is no level.
    for evidence in (proofs.officers, proofs.router, proofs.mine):
        app.include_router(evidence)
    for everywhere in (optouts.services, optouts.mine, optout.router):
        app.include_router(everywhere)
    for pages_router in (
        signin.router,
        confirming.router,
        mine.router,
        decisions.router,
        logsearch.router,
        accesses.router,
        rights_page.router,
        pages.router,
    ):
        app.include_router(pages_router)
    return app
