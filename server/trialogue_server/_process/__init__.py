"""The process around what serves, and its surroundings: service manager, successor, logs, disks.

process     its port and the orders it gets
turn        one time of serving: opened, served, closed
connections how many there may be
succession  another process takes its place on the same port
notify      what the service manager is told
logs        lines on standard error, for a person or a machine
mounts      what the folder for files lies on
"""
