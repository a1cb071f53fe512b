"""The loop: one reconciliation cycle for each profile, again and again, by any number of processes.

The queue is procrastinate's, in the same PostgreSQL.
"""
