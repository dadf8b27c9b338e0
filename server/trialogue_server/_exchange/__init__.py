"""What leaves and enters in documents: exports of ours, and imports of ours and of others'.

document   our own format, as types; docs/export.md is its page
export     from the store to a document, piece by piece (wordings: what was corrected)
markdown   the same, for people (text: what must not break it)
archive    the zip of a document and its files

spool      where uploads wait
jobs       takes them in (taking, growth, files_in), and says how far it is (progress)
pieces     finds out what is in an upload, by its shape
splitter   a large JSON document, cut into the conversations in it
ours, chatgpt, claude   read one conversation of theirs
values     what may stand in theirs, looked at before it is used
tree       what others' exports are turned into, and how that becomes a conversation here
"""
