"""Hearback's library: everything but HTTP."""
