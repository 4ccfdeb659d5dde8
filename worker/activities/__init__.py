"""Activities: each is one transaction, one question asked, or the two that follow each other anyway (`checkouts`).

All run at least once, some twice at the same time: a unique key or a guarded transition decides, never a look first.
"""
