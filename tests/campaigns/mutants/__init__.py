"""Planted bugs: each defence of the checkout is taken away in turn, and the tests must notice.

`make mutants` (`python -m tests.campaigns.mutants`) plants them one at a time in a private copy of the tree, never
in the tree itself, and prints which test caught which.

The entries are in `table/`, each in the file of the part of the house whose code it hurts (`table/__init__.py` says
which). One says where its defence is by the name of the definition, not by file and line, and what to replace as
syntax, not as text, so that code can be moved and reformatted:

    bug(
        "fulfil-guard",
        Text("_FULFIL", "status IN ('awaiting_payment', 'payment_processing')", "true"),
        breaks="fulfilling twice would happen twice",
        tests="test_fulfilling_twice_consumes_once",
    )

`Code` replaces Python (see `syntax.py`), `Text` words in a definition's strings, `schema` words of the migrations,
`Words` words of any other file. `--show --only NAME` prints what an entry does.
"""
