"""The site, served by granian. Its statements are bounded; long work belongs to the worker."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inventory_site.settings")
os.environ.setdefault("DATABASE_STATEMENT_TIMEOUT_MS", "10000")

from django.core.wsgi import get_wsgi_application

site = get_wsgi_application()

# The apps are there only now.
from partners.api.fast import Entrance  # noqa: E402
from stock.api import availability, reservations  # noqa: E402

application = Entrance(site, [availability.SHORT_WAY, reservations.SHORT_WAY])
