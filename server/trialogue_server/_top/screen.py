"""The figures as lines of text: plain, and no wider than the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trialogue_server._top.figures import Figures, ModelFigures, Times

#: Busy conversations that are shown.
MOST_BUSY = 10


def lines(servers: Sequence[Figures], width: int = 100) -> list[str]:
    """All servers, one below the other; several have a table of them first."""
    shown: list[str] = []
    if len(servers) > 1:
        shown += [*_table(servers), ""]
    for server in servers:
        shown += [*_server(server), ""]
    return [line[:width] for line in shown[:-1]]


def _table(servers: Sequence[Figures]) -> Iterator[str]:
    size = max(len(server.address) for server in servers)
    yield f"{'node':<{size}}  live  runs/s  tokens/s  streams  lag ms  cpu %  memory"
    for server in servers:
        if server.error is not None:
            yield f"{server.address:<{size}}  {server.error}"
        else:
            yield (
                f"{server.address:<{size}}  {server.conversations.get('running', 0):4}  {server.runs:6.1f}"
                f"  {server.tokens:8.0f}  {server.streams:7}  {server.lag * 1000:6.0f}"
                f"  {server.processor * 100:5.0f}  {_bytes(server.memory)}{'  draining' if server.draining else ''}"
            )


def _server(server: Figures) -> Iterator[str]:
    if server.error is not None:
        yield f"{server.address}  {server.error}"
        return
    state = "DRAINING" if server.draining else "STORAGE FAILS" if server.storage_failing else "up"
    yield f"Trialogue {server.version} at {server.address}  {state} {_span(server.up_seconds)}  {server.storage}"
    phases = server.conversations
    counts = ", ".join(f"{phases.get(one, 0)} {one}" for one in ("running", "working", "active", "idle", "faulted"))
    yield f"  conversations  {counts}; {server.inbox} messages and {server.mailbox} commands wait"
    yield f"  runs ended     {server.runs:.1f}/s, {server.failed:.1f}/s of them failed, with {server.tokens:.0f} tokens/s"
    yield f"  first token    {_times(server.first_token)}"
    yield f"  gate           {_times(server.gate)}; {server.commits:.0f} commits/s of {server.events:.0f} events/s"
    yield f"  requests       {server.requests:.1f}/s, {server.errors:.1f}/s answered 5xx"
    yield f"  connections    {server.streams} streams, {server.sockets} WebSockets, {server.uploads} uploads"
    yield (
        f"  process        {server.processor * 100:.0f} % cpu, {_bytes(server.memory)}, "
        f"{server.descriptors} of {server.most_descriptors} descriptors, loop at most {server.lag * 1000:.0f} ms late"
    )
    yield (
        f"  shards         {server.tasks} tasks, {server.fullest_shard} in the fullest; "
        f"{server.restarts} restarts, {server.crashes} crashes"
    )
    yield from _models(server.models)
    for line in server.busy[:MOST_BUSY]:
        yield f"  {line}"
    if len(server.busy) > MOST_BUSY:
        yield f"  and {len(server.busy) - MOST_BUSY} more"


def _models(models: Sequence[ModelFigures]) -> Iterator[str]:
    size = max((len(one.model) for one in models), default=0)
    if models:
        size = max(size, len("model"))
        yield f"  {'model':<{size}}  runs/s  failed/s  tokens/s  first token      per token"
    for one in models:
        yield (
            f"  {one.model:<{size}}  {one.runs:6.1f}  {one.failed:8.1f}  {one.tokens:8.0f}"
            f"  {_times(one.first_token, short=True):<15}  {_times(one.per_token, short=True)}"
        )


def _times(times: Times, *, short: bool = False) -> str:
    if times.p50 is None or times.p99 is None:
        return "-" if short else "nothing yet"
    words = (_time(times.p50), _time(times.p99))
    return f"{words[0]} / {words[1]}" if short else f"half within {words[0]}, 99 % within {words[1]}"


def _time(seconds: float) -> str:
    if seconds == float("inf"):
        return "more"
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def _bytes(count: int) -> str:
    return f"{count / 1024**2:.0f} MB"


def _span(seconds: float) -> str:
    minutes, hours = int(seconds // 60) % 60, int(seconds // 3600)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {int(seconds) % 60} s"
