"""Commands of the command line that need no room of their own: ``trialogue nodes`` and ``trialogue plugins``."""
