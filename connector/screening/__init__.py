"""Should a submission wait for a person? Pure: no I/O, no clock, no randomness.

Signals are added up and never decide by themselves what becomes of a lead: beyond the limit a person looks at it,
and whoever sent it hears the same as everybody (requirements I25, I26).
"""
