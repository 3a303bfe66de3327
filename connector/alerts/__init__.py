"""Telling people that something needs them: what is said, in three languages, and the two ways it is sent."""
