"""This process's part in a cluster, from its settings: a name, an address, ways to speak, and a secret to sign with."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import NamedTuple

from trialogue import Joining, SoftState, Store, new_id
from trialogue_server._cluster.address import address_of, name_of
from trialogue_server._cluster.asking import HttpTransport
from trialogue_server._cluster.signing import Signer
from trialogue_server.config import Config

_log = logging.getLogger("trialogue.cluster")


class Part(NamedTuple):
    """What a node takes part with. A store that is one process's has no place for others: then there is only the id."""

    node: str
    joining: Joining | None = None
    signer: Signer | None = None


@asynccontextmanager
async def open_part(config: Config, store: Store, soft: SoftState | None, port: int | None) -> AsyncGenerator[Part]:
    """The part, for the block. ``port`` is the one that is listened on. Raises ``ConfigurationError``."""
    node = new_id()
    if store.nodes is None:
        if config.cluster_secret:
            _log.warning("cluster_secret is set, and the storage belongs to one process: there are no other nodes")
        yield Part(node)
        return
    address = address_of(config, port)
    signer = Signer(config.cluster_secret, node, time.time) if address else None
    transport = HttpTransport(signer) if signer is not None else None
    buses = () if soft is None else (soft.bus(store.nodes.cluster),)
    joining = Joining(name_of(config, port), address, version("trialogue"), buses, transport)
    try:
        yield Part(node, joining, signer)
    finally:
        if transport is not None:
            transport.wires.close()
