"""What an operator sees of a running process: its metrics, its traces, how late its loop is.

    exposition  families of figures, and the text in which Prometheus reads them
    families    which figures there are, by the part of the server that has them; those of the core are in
                 of_engine and of_providers
    requests    requests by route, counted as they are answered
    lag         how late the loop is
    process     what the kernel says of the process
    listener    an address of its own for metrics
    telemetry   traces and metrics sent to a collector (OpenTelemetry), when that is configured

Figures are kept where they arise (``statistics()``) and gathered when somebody asks; here nothing runs for a token.
"""

from trialogue_server._seeing.seeing import Seeing as Seeing
from trialogue_server._seeing.seeing import open_seeing as open_seeing
