"""The checks that every store runs, ours and others'. Each is an async function of a factory that opens the store.

    import pytest
    from trialogue.testing import STORE_CHECKS, check_name

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=check_name)
    async def test_my_store(check, tmp_path):
        await check(lambda: my_plugin.trialogue_store("mine:", tmp_path / "data"))

The factory opens the same data each time it is called, empty the first time, and the checks never have it open twice. Call
``pytest.register_assert_rewrite("trialogue.testing")`` before the import, in ``conftest.py``, to see what differs when a
check fails. They run on the real clock and need no network of their own.

What they hold a store to beyond the port's own words: "oldest first" is the order in which messages were first stored; a
message once removed stays removed, whatever is written later; a flush that contradicts what is stored (a hole in its
numbers, a message id of another conversation, a command that has its receipt) is ``fenced``; the last word of a search may
be the beginning of one; every call is a checkpoint, and one that finds itself cancelled at once does nothing.
"""

from __future__ import annotations

from trialogue.testing._kit_access import ACCESS_CHECKS
from trialogue.testing._kit_accounts import ACCOUNT_CHECKS
from trialogue.testing._kit_fence import FENCE_CHECKS
from trialogue.testing._kit_files import FILE_CHECKS
from trialogue.testing._kit_ledger import LEDGER_CHECKS
from trialogue.testing._kit_lists import LIST_CHECKS
from trialogue.testing._kit_log import LOG_CHECKS
from trialogue.testing._kit_making import OpenStore as OpenStore
from trialogue.testing._kit_making import StoreCheck as StoreCheck
from trialogue.testing._kit_nodes import NODE_CHECKS
from trialogue.testing._kit_pages import PAGE_CHECKS
from trialogue.testing._kit_search import SEARCH_CHECKS
from trialogue.testing._kit_sharing import SHARING_CHECKS
from trialogue.testing._kit_tree import TREE_CHECKS
from trialogue.testing._kit_trouble import TROUBLE_CHECKS
from trialogue.testing._kit_vectors import VECTOR_CHECKS

#: All of them, in the order from the simple to the awkward.
STORE_CHECKS: tuple[StoreCheck, ...] = (
    *LOG_CHECKS,
    *FENCE_CHECKS,
    *TREE_CHECKS,
    *PAGE_CHECKS,
    *LIST_CHECKS,
    *ACCOUNT_CHECKS,
    *ACCESS_CHECKS,
    *FILE_CHECKS,
    *LEDGER_CHECKS,
    *SEARCH_CHECKS,
    *VECTOR_CHECKS,
    *SHARING_CHECKS,
    *NODE_CHECKS,
    *TROUBLE_CHECKS,
)


def check_name(check: StoreCheck) -> str:
    """The behaviour that a check is about, for a test's id."""
    return getattr(check, "__name__", repr(check)).replace("_", " ")
