"""Loading plugins, asking them, and saying in words what is wrong with one."""
