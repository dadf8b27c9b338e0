"""The runtime: a cell per conversation, the flusher that makes durable, and the tail that shows."""
