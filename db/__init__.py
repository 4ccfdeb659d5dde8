"""Persistence. Repositories take a connection and never begin, commit or roll back: transactions begin and end at the
edge, in an activity or a route. (The auditor's snapshots, `db.audit`, and the set-up have their own.)"""
