"""Every error that can leave the core, drawn as one tree; the name says whose fault it was.

    TrialogueError
    ├── InvalidError        the request cannot be meant: the caller mends it
    │   └── LimitError      ... because something in it is larger than a configured limit
    │       └── QuotaError  ... together with what the caller has already
    ├── UnauthenticatedError  nobody, or nobody we know
    ├── BudgetError         known and allowed, but it has nothing left to spend
    ├── ForbiddenError      known, but not allowed
    ├── NotFoundError       no such thing, or not the caller's
    ├── ConflictError       the thing has moved on since the caller looked
    ├── ThrottledError      too often: wait ``retry_after`` seconds
    ├── ClosedError         we are shutting down, or were never open
    ├── BrokenError         the other side failed: a provider, a disk, a database
    │   ├── ProviderError   ... an LLM provider
    │   ├── EmbedderError   ... an embedder
    │   └── StorageError    ... the store; nothing unacknowledged was shown
    ├── FencedError         someone newer owns the conversation
    │   └── ElsewhereError  ... another node, which is alive: it has to be asked
    ├── FaultedError        this conversation failed too often and is parked
    ├── SupervisionError    a service failed more often than its budget allows (``_supervision.supervisor``)
    └── ConfigurationError  the operator mends it; raised before anything serves

How an error looks on a wire is the server's business (``trialogue_server``); ``code`` is stable and safe to show.
"""

from __future__ import annotations

from typing import ClassVar, Self


class TrialogueError(Exception):
    """Root of everything the core raises on purpose.

    ``str(error)`` names the thing, the value, and what to do next, and never holds a secret.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, detail: str, *, pointer: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        #: JSON pointer into the request, when one place in it is to blame.
        self.pointer = pointer
        #: Seconds after which the same request may succeed, when waiting helps.
        self.retry_after = retry_after

    def again(self) -> Self:
        """The same, to be raised to somebody else: what several raise grows by a traceback for each of them."""
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        twin.__cause__ = self.__cause__
        return twin


class InvalidError(TrialogueError):
    """The request cannot be meant; ``pointer`` says where."""

    code = "invalid"
    status = 422


class LimitError(InvalidError):
    """Something in the request is larger than a configured limit; the detail names the limit's setting."""

    code = "limit"
    status = 413


class QuotaError(LimitError):
    """There is no room left of what the caller may have; removing something helps."""

    code = "quota"


class UnauthenticatedError(TrialogueError):
    """No credentials, or none that we know."""

    code = "unauthenticated"
    status = 401


class BudgetError(TrialogueError):
    """A budget is used up: waiting until it is full again helps, or a larger one. Not 429, which clients repeat at once."""

    code = "budget_exhausted"
    status = 402


class ForbiddenError(TrialogueError):
    """The caller is known and may not do this."""

    code = "forbidden"
    status = 403


class NotFoundError(TrialogueError):
    """No such thing, or not the caller's: the two are not told apart."""

    code = "not_found"
    status = 404


class ConflictError(TrialogueError):
    """The thing has moved on since the caller looked, or the same id was used for something else."""

    code = "conflict"
    status = 409


class ThrottledError(TrialogueError):
    """Too often; ``retry_after`` is set."""

    code = "throttled"
    status = 429


class ClosedError(TrialogueError):
    """We are shutting down, or are not open yet; another node or a later attempt will do."""

    code = "closed"
    status = 503


class BrokenError(TrialogueError):
    """The other side failed; nothing of ours is wrong and nothing acknowledged is lost."""

    code = "broken"
    status = 502


class ProviderError(BrokenError):
    """An LLM provider refused, failed, stalled or sent what cannot be read.

    ``kind`` is one of ``refused`` (bad request or credentials), ``throttled``, ``unavailable`` (no connection, 5xx),
    ``stalled`` (silent too long), ``broken`` (ended in mid-stream), ``malformed`` (cannot be read).
    """

    code = "provider"

    def __init__(self, detail: str, *, kind: str = "broken", retry_after: float | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.kind = kind


class EmbedderError(BrokenError):
    """An embedder cannot give vectors now. ``by_text`` says that one of the texts may be to blame: it died over them."""

    code = "embedder"
    status = 503

    def __init__(self, detail: str, *, by_text: bool = False, retry_after: float | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.by_text = by_text


class StorageError(BrokenError):
    """The store cannot take or give data now (disk full, read-only, corrupt); the detail says what to do."""

    code = "storage"
    status = 503


class FencedError(TrialogueError):
    """Someone newer owns the conversation; the caller finds the new owner and repeats itself."""

    code = "fenced"
    status = 503


class ElsewhereError(FencedError):
    """A living node owns the conversation, and it is not this one. ``node`` is its id, '' when any other one will do."""

    def __init__(self, detail: str, node: str, *, retry_after: float | None = 1.0) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.node = node


class FaultedError(TrialogueError):
    """The conversation failed too often in a short time and is parked until an operator or a restart frees it."""

    code = "faulted"
    status = 503


class ConfigurationError(TrialogueError):
    """A setting, a folder or a plugin is wrong; raised before anything is served."""

    code = "configuration"
