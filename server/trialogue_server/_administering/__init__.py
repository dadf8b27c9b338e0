"""Accounts from the command line: ``trialogue users``, ``invite`` and ``keys``.

_command    what can be asked for, and how it is told
_doing      what can be done, whoever does it
_direct     done in the storage, while no server runs over it
_remote     done by a running server, which ends what has to end at once
"""
