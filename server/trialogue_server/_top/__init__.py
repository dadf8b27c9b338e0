"""``trialogue top``: what servers do right now, in a terminal, from their metrics.

    reading  asks a server for its metrics, and reads the text
    figures  what a person wants to know, from two readings
    screen   lines of text
    running  reads, shows, and waits, over and over

It is a program of its own that asks as Prometheus does: nothing of the server is imported but its settings.
"""
