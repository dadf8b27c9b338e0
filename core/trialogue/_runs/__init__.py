"""How an answer comes about: a run, its generations and calls, what a model is shown, and what is done when it fails."""
