"""The sandbox CRM: an HTTP server over a PostgreSQL schema of its own, with webhooks and failures at will."""
