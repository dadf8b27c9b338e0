"""Asking providers: their port, the catalog of models, retries, breakers, lanes, and how models do."""
