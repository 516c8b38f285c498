"""The ASGI application: routers behind the door, over one wired service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from governance.api import consents, members, messages, operations, reads
from governance.collecting import Collector
from governance.door import Door, on_http, on_invalid
from governance.wiring import Service


def build(service: Service) -> FastAPI:
    """Return the application for a wired service."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.finder.ready()
        app.state.collector = Collector(service.gate, service.clock, inline=service.database.inline)
        yield
        app.state.collector.close()
        service.close()

    app = FastAPI(
        title="Household governance",
        version="0.1.0",
        lifespan=lifespan,
        # The bundled documentation pages load scripts from elsewhere and break the content policy.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # The framework's own telemetry would record validation failures with what was sent.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    for router in (reads.router, messages.router, consents.router, members.router, operations.router):
        app.include_router(router)
    app.add_middleware(Door)
    return app
