"""Hearback's HTTP edge: verify, keep, acknowledge. Flask lives here and nowhere else."""
