"""What leaves and enters in documents: exports of ours, and imports of ours and of others'.

_document   our own format, as types; docs/export.md is its page
_export     from the store to a document, piece by piece (_wordings: what was corrected)
_markdown   the same, for people (_text: what must not break it)
_archive    the zip of a document and its files

_spool      where uploads wait
_jobs       takes them in (_taking, _growth, _files_in), and says how far it is (_progress)
_pieces     finds out what is in an upload, by its shape
_splitter   a large JSON document, cut into the conversations in it
_ours, _chatgpt, _claude   read one conversation of theirs
_tree       what others' exports are turned into, and how that becomes a conversation here
"""
