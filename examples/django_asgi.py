"""Django: the guard goes around the ASGI application, in the project's `asgi.py`.

    uvicorn project.asgi:application

Not in `MIDDLEWARE`: Django's own middleware sees a request only after Django has read its body.
"""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from gateway_guard import GuardMiddleware

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = GuardMiddleware(get_asgi_application(), policy="policies/standard.yaml")
