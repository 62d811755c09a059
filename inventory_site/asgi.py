"""The event stream's own small process; everything else is served by wsgi.py."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inventory_site.settings")

from django.core.asgi import get_asgi_application

application = get_asgi_application()
