"""What upstreams say and are told, by dialect. Pure; public by way of ``openai_dialect`` and ``anthropic_dialect``."""
