"""The child process: loads the model and answers, one thread per request, until its parent is gone.

Run as a program with the number of an inherited socket, the weights and the number of threads; it imports nothing of
ours. Over the socket come the ends of connections, one per request. On a connection the parent writes one line of JSON,
the body of a Chat Completions request, and gets back its stream of ``data:`` lines; the close is the end. When the parent
closes first the thinking stops, at the next token or the next step of reading the prompt.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import threading
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

xllamacpp: Any = import_module("xllamacpp")  # Any: it brings no types

#: Tokens of context per request, of which as many run side by side as there are slots.
CONTEXT, SLOTS = 4096, 2
#: The prompt is read in steps of so many tokens, 0.2 s each on a slow core; between two of them it can be stopped.
STEP = 32
#: A parent that stops reading holds up its own answer, but not for ever.
SLOWEST_READER = 600.0


class Worker:
    """The loaded model, and how many requests it is thinking about."""

    def __init__(self, weights: str, threads: int) -> None:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = weights
        parameters.model_alias = {"smollm2-135m"}
        parameters.n_ctx, parameters.n_parallel = CONTEXT * SLOTS, SLOTS
        parameters.n_batch = parameters.n_ubatch = STEP
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.cache_ram_mib = 0  # its default is 8 GB
        parameters.verbosity = 1  # errors, on standard error
        # It opens an HTTP server whether one wants it or not: on the loopback interface, with a key that nobody knows.
        parameters.ui, parameters.hostnames, parameters.port = False, ["127.0.0.1"], 0
        parameters.api_keys = [os.urandom(16).hex()]
        self._model = xllamacpp.Server(parameters)
        self._busy = 0
        self._lock = threading.Lock()

    def serve(self, control: socket.socket) -> None:
        """Takes connections until the parent closes ``control``, by intent or by ending."""
        while True:
            byte, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not byte:
                return
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(SLOWEST_READER)
            try:
                with connection.makefile("rb") as lines:
                    body = json.loads(lines.readline())
                if body.get("ask") == "busy":
                    send(connection, {"busy": self._busy})
                else:
                    self._answer(connection, body)
            except OSError:
                pass  # the parent has left this request
            except Exception as error:
                report(connection, str(error))

    def _answer(self, connection: socket.socket, body: dict[str, Any]) -> None:
        with self._lock:
            self._busy += 1
        try:
            self._model.handle_chat_completions(body, partial(stops, connection))
        finally:
            with self._lock:
                self._busy -= 1


def stops(connection: socket.socket, chunk: dict[str, Any]) -> bool:
    """Hands on a chunk; true, which stops the model, when the parent has left. It must not raise into the model."""
    try:
        if has_left(connection):
            return True
        if "prompt_progress" not in chunk:
            send(connection, chunk)
    except OSError:
        return True
    return False


def has_left(connection: socket.socket) -> bool:
    """Whether the parent closed its end; it writes nothing after its request."""
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(0))


def send(connection: socket.socket, value: dict[str, Any]) -> None:
    connection.sendall(b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n")


def report(connection: socket.socket, message: str) -> None:
    with suppress(OSError):
        send(connection, {"error": {"code": 400, "message": message}})


def main() -> None:
    """Never returns by the usual way: the runtime's own clean-up waits for ever when it comes too early."""
    descriptor, weights, threads = sys.argv[1:]
    os.nice(5)
    control = socket.socket(fileno=int(descriptor))
    try:
        Worker(weights, int(threads)).serve(control)
    except OSError:
        os._exit(0)
    except BaseException as error:
        print(f"local model: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
