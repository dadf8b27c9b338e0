"""``trialogue doctor``: looks at everything a server stands on, changes nothing, and says how to mend what is wrong.

    examining      carries out the checks, each within its time, and shows what they found
    patient        what is looked at
    configuration  settings, secrets, and who can reach the server
    machine        Python, processor, limits
    places         the port and the folder for files
    parts          plugins, storage, Redis, providers, telemetry

It runs beside a server as well as without one.
"""

from trialogue_server._doctor.examining import run as run
