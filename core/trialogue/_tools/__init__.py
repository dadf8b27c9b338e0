"""Tools that models call: their port, those made of Python functions, and the box they lie in."""
