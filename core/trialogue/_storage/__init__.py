"""The port to storage, and what goes with it: transfers, their soundness, and what processes share softly."""
