"""The audit trail as the server leaves it: a line in the log for each entry, and failed logins without a flood.

Entries are written by the store together with what they record; here they are told to the log once that is done.
"""

from __future__ import annotations

import logging

from trialogue import Accounts, AuditEntry, Origin, ThrottledError
from trialogue_server._callers.peer import network
from trialogue_server._callers.throttle import Throttle

log = logging.getLogger("trialogue.audit")


class Trail:
    """The trail of one store."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        #: Failed logins that are written down: whoever tries passwords must not fill the disk with it.
        self._by_address = Throttle("failed logins written down for this address", burst=5, seconds=60)
        self._by_anyone = Throttle("failed logins written down", burst=100, seconds=1)
        #: Those that were not, since the last that was.
        self._left_out = 0

    def __repr__(self) -> str:
        return f"<Trail left_out={self._left_out}>"

    def tell(self, *entries: AuditEntry) -> None:
        """These are in the store now."""
        for entry in entries:
            fields = {
                "actor": entry.actor,
                "subject": entry.subject,
                "thing": entry.thing,
                "address": entry.address,
                "request": entry.request,
                "detail": entry.detail,
            }
            log.info(entry.action, extra={name: value for name, value in fields.items() if value})

    async def login_failed(self, origin: Origin, subject: str | None) -> None:
        """Somebody showed a wrong secret; ``subject`` is whose it was to be, if anyone's. Raises ``StorageError``.

        What was typed as an address is not recorded: now and then it is a password.
        """
        try:
            self._by_anyone.take("")
            self._by_address.take(network(origin.address))
        except ThrottledError:
            self._left_out += 1
            return
        left_out, self._left_out = self._left_out, 0
        detail = f"{left_out} more were not written down before this" if left_out else ""
        entry = origin.entry("login.failed", subject, detail=detail)
        await self._accounts.note((entry,))
        self.tell(entry)
