"""Accounts from the command line: ``trialogue users``, ``invite`` and ``keys``.

command    what can be asked for, and how it is told
doing      what can be done, whoever does it
direct     done in the storage, while no server runs over it
attended   the same in a running server, which ends what has to end at once
desk       where a running server is asked to, by whoever may read its data anyhow: a socket in its data folder
local      how it is asked there
asks       what is said there
remote     how any server is asked, by an administrator's API key
"""
