"""Activities: methods of objects that hold their dependencies. Each is one transaction or one question
asked, or the two that follow each other anyway (`checkouts`).

All are run at least once, some twice at the same time: a unique key or a guarded transition decides, never a look
before the leap.
"""
