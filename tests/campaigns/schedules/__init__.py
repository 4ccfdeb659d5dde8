"""Random schedules: customers, webhooks, clocks, operators, banks and faults in any order, on the time-skipping server.

`python -m tests.campaigns.schedules --schedules 10000 --seed 1`. What a schedule is: `steps`; who acts it out:
`actors`; what
must be true afterwards: `invariants`.
"""
