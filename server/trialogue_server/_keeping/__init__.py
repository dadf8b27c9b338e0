"""Keeping data: ``trialogue db``. Backups, their way back, moves between stores, and whether what is stored is sound.

command    which of them, from the command line
rows       the rows of a store in a file
pool       contents of files, by their digests
manifest   what a backup says of itself
backup     making one
restore    putting one back
moving     from one store into another
checking   whether what is stored is sound
"""
