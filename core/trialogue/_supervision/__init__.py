"""Who starts whom, who is restarted when it fails, and where the many short-lived tasks live."""
