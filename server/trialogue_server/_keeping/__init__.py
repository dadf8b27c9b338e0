"""Keeping data: ``trialogue db``. Backups, their way back, moves between stores, and whether what is stored is sound.

_command    which of them, from the command line
_rows       the rows of a store in a file
_pool       contents of files, by their digests
_manifest   what a backup says of itself
_backup     making one
_restore    putting one back
_moving     from one store into another
_checking   whether what is stored is sound
"""
