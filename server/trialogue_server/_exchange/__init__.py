"""What leaves and enters in documents: exports of ours, and imports of ours and of others'.

_document   our own format, as types; docs/export.md is its page
_export     from the store to a document, piece by piece
_markdown   the same, for people
_splitter   a large JSON document, cut into the conversations in it
_tree       what others' exports are turned into, and how that becomes a conversation here
_chatgpt    reads ChatGPT's export
_claude     reads Claude's
_ours       reads our own
_reading    finds out which one it is, by its shape
_jobs       takes uploads in, one conversation after the other
"""
