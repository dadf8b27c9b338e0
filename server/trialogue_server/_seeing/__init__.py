"""What an operator sees of a running process: its metrics, its traces, how late its loop is.

    _exposition  families of figures, and the text in which Prometheus reads them
    _families    which figures there are, by the part of the server that has them; those of the core are in
                 _of_engine and _of_providers
    _requests    requests by route, counted as they are answered
    _lag         how late the loop is
    _process     what the kernel says of the process
    _listener    an address of its own for metrics
    _telemetry   traces and metrics sent to a collector (OpenTelemetry), when that is configured

Figures are kept where they arise (``statistics()``) and gathered when somebody asks; here nothing runs for a token.
"""

from trialogue_server._seeing._seeing import Seeing as Seeing
from trialogue_server._seeing._seeing import open_seeing as open_seeing
