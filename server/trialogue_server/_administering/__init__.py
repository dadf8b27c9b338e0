"""Accounts from the command line: ``trialogue users``, ``invite`` and ``keys``.

command    what can be asked for, and how it is told
doing      what can be done, whoever does it
direct     done in the storage, while no server runs over it
remote     done by a running server, which ends what has to end at once
"""
