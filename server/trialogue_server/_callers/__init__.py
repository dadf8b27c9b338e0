"""Who calls, from where, and how much they may.

peer      where a request came from
sessions  a cookie; keys: an API key; both are tokens
logins    people whom another system vouches for
quotas    who may ask how often (limiter: counted in this process)
throttle  slows down whoever fails too often
slots     what each user holds open
lately    what was found out at some cost, for some seconds
trail     the audit trail as the log tells it
"""
