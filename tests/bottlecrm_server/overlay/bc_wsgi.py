"""The CRM as a WSGI application."""

import bc_loopback
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
bc_loopback.allow()
