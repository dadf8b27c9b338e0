"""``trialogue doctor``: looks at everything a server stands on, changes nothing, and says how to mend what is wrong.

    _run            carries out the checks, each within its time, and shows what they found
    _patient        what is looked at
    _configuration  settings, secrets, and who can reach the server
    _machine        Python, processor, limits
    _places         the port and the folder for files
    _parts          plugins, storage, Redis, providers, telemetry

It runs beside a server as well as without one.
"""

from trialogue_server._doctor._run import run as run
