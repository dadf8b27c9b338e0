"""No test asks a model that somebody pays for: providers refuse any address that is not this machine's."""

from __future__ import annotations

from trialogue.testing import forbid_model_calls

forbid_model_calls()
