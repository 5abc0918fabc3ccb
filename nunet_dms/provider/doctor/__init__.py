"""The doctor: one look at machine, engine, keys, Oracle and worker, and what is wrong with them.

    examine -> Patient -> diagnose (the table CHECKS) -> Findings -> worst_exit_code

A check is a pure function of the Patient, so that every finding can be provoked by a test.
"""
