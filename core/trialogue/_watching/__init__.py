"""Looking on: observers, figures, and what runs came to."""
