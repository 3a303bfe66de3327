"""One module per kind of lead source: verify, split, parse. No HTTP framework, no settings, no database."""
