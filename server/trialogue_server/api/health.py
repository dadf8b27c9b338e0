"""Whether we live and are ready. Both are asked by machines, often, and without logging in.

Anyone may ask, so what is told names no path, address or host: what exactly is wrong stands in the log, once.
"""

from __future__ import annotations

import logging
from typing import Literal

import msgspec
import trio

from trialogue import Cluster, TrialogueError
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._serving.services import Services
from trialogue_server._serving.shared_look import SharedLook
from trialogue_server._surface.routes import Answer, Route

log = logging.getLogger("trialogue.health")

#: Longer than a healthy store ever takes, shorter than a balancer's patience.
PATIENCE = 5.0
#: Seconds by which a clock may differ before it is worth a word; nodes that are half a minute apart do not speak.
SKEW = 2.0


class Check(msgspec.Struct, frozen=True):
    """One thing we depend on."""

    ok: bool
    detail: str


class Alive(msgspec.Struct, frozen=True):
    """The process lives."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True):
    """Whether requests can be served here, and what stands in the way."""

    status: Literal["ok", "not ready"]
    checks: dict[str, Check]


async def healthz(services: Services, call: Call) -> Reply:
    """``GET /healthz``: see that the process runs and its loop turns. Nothing else is asked."""
    return _ALIVE


async def readyz(services: Services, call: Call) -> Reply:
    """``GET /readyz``: see whether requests can be served here: 200, else 503; each dependency with a reason."""
    checks = {"engine": _engine(services), "loop": _loop(services)}
    checks["storage"] = await _looked(services, "storage", services.storage_check)
    if services.files_check is not None:
        checks["files"] = await _looked(services, "files", services.files_check)
    if services.engine.cluster is not None:
        checks |= _cluster(services.engine.cluster)
    ready = all(check.ok for check in checks.values())
    return json_reply(Ready("ok" if ready else "not ready", checks), 200 if ready else 503)


def _engine(services: Services) -> Check:
    if services.engine.draining:
        return Check(ok=False, detail="draining: this process is about to stop")
    return Check(ok=True, detail="taking commands")


def _cluster(cluster: Cluster) -> dict[str, Check]:
    lease, greeter, others = cluster.lease, cluster.greeter, cluster.sweeper.others
    held, skew = lease.left > 0, abs(lease.skew)
    checks = {
        "lease": Check(ok=held, detail=f"holds for {lease.left:.1f} s" if held else "lost: the server's log says why"),
        "clock": Check(ok=True, detail=f"{skew:.1f} s from the database's" + (": set it" if skew > SKEW else "")),
    }
    lost = sum(member.node.id in greeter.unreachable for member in others)
    if cluster.transport is None:
        detail = f"{len(others)} others, asked by way of the database: cluster_secret is not set"
    elif lost:
        detail = f"{lost} of {len(others)} others cannot be asked directly: the server's log says why"
    else:
        detail = f"{len(others)} others can be asked"
    if cluster.transport is not None and not greeter.reached_itself:
        # Commands find another way, and from elsewhere the address may be right: that is no reason to serve nobody.
        detail += "; this one does not find itself at its own address: look at advertise, the server's log says why"
    return {**checks, "nodes": Check(ok=True, detail=detail)}


def _loop(services: Services) -> Check:
    usual, most = services.seeing.lag.usual, services.config.ready_lag_seconds
    if usual > most:
        return Check(
            ok=False, detail=f"the loop is usually {usual:.1f} s late (ready_lag_seconds): there is too much to do"
        )
    return Check(ok=True, detail="in time")


async def _looked(services: Services, what: str, look: SharedLook) -> Check:
    # A share that hangs holds the thread that asks it, and nothing else: there are only so many of them.
    with trio.move_on_after(PATIENCE):
        try:
            await look()
        except TrialogueError as error:
            return _failing(services, what, error)
        return _well(services, what)
    return Check(ok=False, detail=f"did not answer within {PATIENCE:g} seconds")


def _failing(services: Services, what: str, error: TrialogueError) -> Check:
    if services.ailing.get(what) != str(error):
        services.ailing[what] = str(error)
        log.warning("not ready: %s: %s", what, error)
    return Check(ok=False, detail="cannot be written: the server's log says why")


def _well(services: Services, what: str) -> Check:
    if services.ailing.pop(what, None) is not None:
        log.warning("ready again: %s", what)
    return Check(ok=True, detail="can be written")


_ALIVE = json_reply(Alive())

ROUTES = (
    Route("GET", "/healthz", healthz, direct=True, access="public", reply=Alive, limited=False),
    Route(
        "GET",
        "/readyz",
        readyz,
        access="public",
        reply=Ready,
        also=(Answer(503, "Not ready.", Ready),),
        limited=False,
    ),
)
