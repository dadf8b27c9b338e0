"""Asking providers: their port, the catalog of models, estimates, retries, breakers, lanes, and how models do."""
