"""The conductor: one short module per flow. Sees routing, adapters and store, which do not see each other."""
