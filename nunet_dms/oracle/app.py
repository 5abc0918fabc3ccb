"""The HTTP application of one Oracle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from nunet_dms.oracle import (
    problems,
    routes_devnet_blockfrost,
    routes_devnet_koios,
    routes_devnet_ogmios,
    routes_node,
    routes_public,
    routes_requester,
    views,
)
from nunet_dms.oracle.clockwork import Clockwork
from nunet_dms.oracle.composition import Oracle


def make_app(oracle: Oracle, clockwork: Clockwork) -> FastAPI:
    """Return the application; who turns the clockwork is the caller's business."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        oracle.notifier.start()
        yield

    app = FastAPI(
        title="NuNet Oracle", version=views.VERSION, lifespan=lifespan, redirect_slashes=False
    )
    app.state.oracle = oracle
    app.state.clockwork = clockwork
    problems.install(app)
    for routes in (routes_public, routes_node, routes_requester):
        app.include_router(routes.router)
    if oracle.devnet is not None:
        for face in (routes_devnet_koios, routes_devnet_blockfrost, routes_devnet_ogmios):
            app.include_router(face.router)
    return app
