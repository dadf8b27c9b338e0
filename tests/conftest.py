"""No test asks a model that somebody pays for: providers refuse any address that is not this machine's. And none fails
because the machine is slow: properties are looked for without a clock beside them.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from trialogue.testing import forbid_model_calls

forbid_model_calls()
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
