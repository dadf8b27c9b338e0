"""Retrieval: tools with which a model looks through the user's own files and conversations, and says where it has it from.

What they find is what the owner of the conversation may see, and nothing else. Each passage comes with its id for the
model and as a citation for the people who read along. What is found is shown to the model as data: a text that was
uploaded may hold orders, and is marked as what it is. How things are found is the server's search (docs/search.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trialogue import ToolLike, hookimpl
from trialogue_retrieval._tools import read_my_content as read_my_content
from trialogue_retrieval._tools import search_my_content as search_my_content

__all__ = ["read_my_content", "search_my_content", "trialogue_tools"]


@hookimpl
def trialogue_tools(environment: Mapping[str, str]) -> Sequence[ToolLike]:
    """Always both; they have no settings."""
    return [search_my_content, read_my_content]
