"""What every request passes on its way to a handler, and every answer on its way out. ``app`` puts it together.

routes       what a route says of itself
table        which route answers a method on a path
access       whether a caller may use a route
answered     what every answer has in common (security: headers that each one carries)
cors         what pages of other origins may do
request_log  the line in the log that each request leaves
page         the files of the web page
"""
