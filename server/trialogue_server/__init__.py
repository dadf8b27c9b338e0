"""Trialogue's server: REST, SSE and the web page over the core, and the command line."""
