"""Every setting of the site, read from the environment; start fails by name when one is unsafe.

BACKSTOCK_MODE chooses between `development` (also the demo), `test` and `production`.
Development answers on loopback names only, so that a forgotten mode is useless rather than unsafe.
"""

import os
import re
import secrets
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.csp import CSP

from inventory_site import queue
from partners import scopes
from partners.limits import LIMIT_MAX

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = Path(env.str("BACKSTOCK_STATE_DIR", str(BASE_DIR / ".backstock")))

MODE = env.str("BACKSTOCK_MODE", "development")
if MODE not in {"development", "test", "production"}:
    raise ImproperlyConfigured(f"BACKSTOCK_MODE is {MODE!r}; it can be development, test or production.")
PRODUCTION = MODE == "production"


def required(name: str, development: str, *, why: str) -> str:
    """The variable in production, where it must be set; elsewhere it or its development value."""
    if PRODUCTION and not os.environ.get(name):
        raise ImproperlyConfigured(f"{name} is not set. {why}")
    return str(env.str(name, development))


def development_secret() -> str:
    """A key of this checkout's own, so that no two machines share one."""
    file = STATE_DIR / "secret_key"
    if not file.exists():
        STATE_DIR.mkdir(exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as handle:
            handle.write(secrets.token_urlsafe(64))
    return file.read_text()


# -- Safety --------------------------------------------------------------------
DEBUG = env.bool("DJANGO_DEBUG", False)
SECRET_KEY = required("SECRET_KEY", "", why="Make one: python -c 'import secrets; print(secrets.token_urlsafe(64))'")
SECRET_KEY = SECRET_KEY or development_secret()
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
hosts = required("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1],testserver", why="Name the host names people use.")
ALLOWED_HOSTS = [host.strip() for host in hosts.split(",") if host.strip()]
if PRODUCTION:
    if DEBUG:
        raise ImproperlyConfigured("DJANGO_DEBUG is on: it shows source and settings to strangers. Unset it.")
    if len(SECRET_KEY) < 50:
        raise ImproperlyConfigured("SECRET_KEY is shorter than 50 characters.")
    if "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured("ALLOWED_HOSTS holds '*'. Name the host names people use.")

CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
if env.bool("BEHIND_TLS_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# The admin theme's Alpine.js evaluates expressions in attributes; nothing may come from elsewhere.
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.UNSAFE_EVAL, CSP.UNSAFE_INLINE],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
    # The search of the API's reading view.
    "worker-src": [CSP.SELF, "blob:"],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.SELF],
    "form-action": [CSP.SELF],
}
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000

# -- The house, ground floor first -----------------------------------------------
INSTALLED_APPS = [
    "inventory_site",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "rest_framework",
    "oauth2_provider",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "simple_history",
    "axes",
    "partners",
    "catalog",
    "stock",
    "orders",
]
MIDDLEWARE = [
    "partners.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "partners.middleware.ActorMiddleware",
    "partners.middleware.SecondFactorMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "inventory_site.urls"
WSGI_APPLICATION = "inventory_site.wsgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# -- PostgreSQL ------------------------------------------------------------------
DATABASE_URL = required(
    "DATABASE_URL",
    "postgres://backstock@127.0.0.1/backstock",
    why="In production Backstock runs on a PostgreSQL (15 or newer) you name.",
)
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
if "postgresql" not in DATABASES["default"]["ENGINE"]:
    raise ImproperlyConfigured("DATABASE_URL is not PostgreSQL: row locks, ranges and triggers live there.")
DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
# A lock waited for longer than 2 s is answered with 503 and tried again by the caller; only the
# web process bounds its statements (wsgi.py), since migrations and imports may take their time.
# Statements of the hot path are prepared after they ran twice; a pooler by transaction cannot have that.
DATABASES["default"].setdefault("OPTIONS", {})["prepare_threshold"] = 2 if env.bool("DATABASE_PREPARE", True) else None
DATABASES["default"]["OPTIONS"]["options"] = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "timezone": "UTC",
        "lock_timeout": env.int("DATABASE_LOCK_TIMEOUT_MS", 2_000),
        "statement_timeout": env.int("DATABASE_STATEMENT_TIMEOUT_MS", 0),
        "idle_in_transaction_session_timeout": env.int("DATABASE_IDLE_TIMEOUT_MS", 60_000),
    }.items()
)

# -- The books ---------------------------------------------------------------------
# What stock is worth is kept in one currency; costs in another wait until somebody books them.
BOOKS_CURRENCY = env.str("BOOKS_CURRENCY", "EUR")
if not re.fullmatch("[A-Z]{3}", BOOKS_CURRENCY):
    raise ImproperlyConfigured("BOOKS_CURRENCY is not three capital letters, like EUR.")

# -- Cache, queue ------------------------------------------------------------------
CACHE_URL = env.str("CACHE_URL", "")
if CACHE_URL and not CACHE_URL.startswith(("redis://", "rediss://", "unix://")):
    raise ImproperlyConfigured("CACHE_URL is not Redis; unset it, and PostgreSQL keeps the cache.")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": CACHE_URL}
    if CACHE_URL
    else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}
}
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", "pgmq://")
queue.configuration(CELERY_BROKER_URL)  # refuses what it cannot speak to
if "redis" in CACHE_URL + CELERY_BROKER_URL and find_spec("redis") is None:
    raise ImproperlyConfigured("CACHE_URL or CELERY_BROKER_URL is Redis; its client is an extra: uv sync --extra redis")
CELERY_TASK_ALWAYS_EAGER = env.bool("CELERY_TASK_ALWAYS_EAGER", False)
if PRODUCTION and CELERY_TASK_ALWAYS_EAGER:
    raise ImproperlyConfigured("CELERY_TASK_ALWAYS_EAGER is on: requests would do the worker's work. Unset it.")

# -- People --------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
# The first is for passwords of people, the last for secrets we make ourselves.
PASSWORD_HASHERS = [
    f"django.contrib.auth.hashers.{'MD5' if MODE == 'test' else 'PBKDF2'}PasswordHasher",
    "partners.hashers.RandomSecretHasher",
]
# Who of the staff must have a second factor: `optional` (whoever wants one), `superusers`, or `required` (everybody).
STAFF_TOTP = env.str("STAFF_TOTP", "superusers" if PRODUCTION else "optional")
if STAFF_TOTP not in {"optional", "superusers", "required"}:
    raise ImproperlyConfigured(f"STAFF_TOTP is {STAFF_TOTP!r}; it can be optional, superusers or required.")
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "partners.addresses.client_address"
# Who is locked out is not written down again at each try: that would lengthen the lock, and fill the disk.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# Auditors have AuthenticationAttempt, which is bounded.
AXES_DISABLE_ACCESS_LOG = True
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
WHITENOISE_USE_FINDERS = not PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
SIMPLE_HISTORY_HISTORY_CHANGE_REASON_USE_TEXT_FIELD = True

# -- The gate --------------------------------------------------------------------------
OAUTH2_PROVIDER_APPLICATION_MODEL = "partners.Application"
OAUTH2_PROVIDER = {
    "SCOPES_BACKEND_CLASS": "partners.oauth.ApplicationScopes",
    "SCOPES": scopes.TEXTS,
    "OAUTH2_VALIDATOR_CLASS": "partners.oauth.Validator",
    "CLIENT_SECRET_HASHER": "random_sha256",
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3_600,
    **{
        f"COMPLIANT_BCP_RFC9700_{practice}": True
        for practice in (
            "TOKEN_STORAGE",
            "IMPLICIT_GRANT",
            "PASSWORD_GRANT",
            "PKCE_METHOD",
            "ACCESS_TOKEN_TRANSPORT",
            "AUTHZ_RESPONSE_ISS",
        )
    },
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["partners.api.auth.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["partners.api.auth.HasScope"],
    "DEFAULT_PARSER_CLASSES": ["partners.api.parsing.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "URL_FORMAT_OVERRIDE": None,  # ?format= is a name like another: unknown
    "DEFAULT_SCHEMA_CLASS": "partners.api.schema.ProblemSchema",
    "EXCEPTION_HANDLER": "partners.api.errors.answer_problem",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Backstock",
    "DESCRIPTION": (
        "What stock is where, to whom it is promised, and who may see it.\n\n"
        "Begin with the [quick start](/api/docs/quickstart). Every code of a refusal is explained under "
        "[refusals](/api/docs/problems), every event under [events](/api/docs/events), and what changes under "
        "[changes](/api/docs/changelog).\n\n"
        "A token comes from `POST /oauth/token` (HTTP Basic with client id and secret, "
        "`grant_type=client_credentials`, `scope` where you want fewer than you may have). Names are in camelCase, "
        "times in RFC 3339, quantities whole stock units, money a decimal in a string. Lists come in pages: "
        "`limit`, and `cursor` from `nextCursor`. Another partner's thing is a 404. A field or code you do not "
        "know may be new: pass over it."
    ),
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "docExpansion": "none", "filter": True, "validatorUrl": None},
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["partners.api.document.complete"],
}

# Who looked up what is written so often by each process (0: only when told to), and kept so long.
LOOKUPS_FLUSH_SECONDS = 0.0 if MODE == "test" else env.float("LOOKUPS_FLUSH_SECONDS", 5.0)
LOOKUPS_KEPT_DAYS = env.int("LOOKUPS_KEPT_DAYS", 400)
# What an application may ask for in a minute, unless it has limits of its own: partners/api/limiting.py.
RATE_LIMIT_READS = env.int("RATE_LIMIT_READS", 6_000)
RATE_LIMIT_WRITES = env.int("RATE_LIMIT_WRITES", 3_000)
for name, units in (("RATE_LIMIT_READS", RATE_LIMIT_READS), ("RATE_LIMIT_WRITES", RATE_LIMIT_WRITES)):
    if not 1 <= units <= LIMIT_MAX:
        raise ImproperlyConfigured(f"{name} is {units}; it can be 1 to {LIMIT_MAX:,} units a minute.")
# For so long a revoked token, a scope that was taken or a suspended partner may still count.
CALLERS_KEPT_SECONDS = env.float("CALLERS_KEPT_SECONDS", 1.0)
if not 0 <= CALLERS_KEPT_SECONDS <= 1:
    raise ImproperlyConfigured("CALLERS_KEPT_SECONDS is more than a second: what was revoked would go on.")
# How many requests a process of the site works on at once; three quarters of them at most are reads.
WEB_THREADS = env.int("WEB_THREADS", 32)

METRICS_TOKEN = env.str("METRICS_TOKEN", "")
# How many proxies stand before us, each adding to the header the address it was called from; 0: the headers are
# anybody's, and the connection alone says who calls.
TRUSTED_PROXY_HOPS = env.int("TRUSTED_PROXY_HOPS", 0)
TRUSTED_PROXY_HEADER = env.str("TRUSTED_PROXY_HEADER", "X-Forwarded-For")
if not 0 <= TRUSTED_PROXY_HOPS <= 10:
    raise ImproperlyConfigured("TRUSTED_PROXY_HOPS is not from 0 to 10; count the proxies between callers and us.")
AUTHENTICATION_ATTEMPTS_KEPT_DAYS = env.int("AUTHENTICATION_ATTEMPTS_KEPT_DAYS", 365)

# Webhooks go to public addresses over TLS. To loopback, without TLS and at any port, is for trying out on one machine.
WEBHOOK_PORTS = env.list("WEBHOOK_PORTS", cast=int, default=[443, 8443])
WEBHOOKS_TO_LOOPBACK = env.bool("WEBHOOKS_TO_LOOPBACK", False)
if PRODUCTION and WEBHOOKS_TO_LOOPBACK:
    raise ImproperlyConfigured("WEBHOOKS_TO_LOOPBACK is on: partners could call this machine's own ports. Unset it.")
WEBHOOK_PAUSED_AFTER_DAYS = env.int("WEBHOOK_PAUSED_AFTER_DAYS", 5)

# -- What is written down ------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "partners.middleware.RequestIdFilter"}},
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"},
        "bare": {"format": "%(message)s"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]},
        "requests": {"class": "logging.StreamHandler", "formatter": "bare"},
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        # One JSON line for each call of the API: partners/request_log.py.
        "partners.request_log": {
            "handlers": ["requests"],
            "level": "INFO" if env.bool("REQUEST_LOG", MODE != "test") else "WARNING",
            "propagate": False,
        },
        "axes": {"level": "WARNING"},
        # The relay runs every 2 s; that it ran is no news.
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "oauthlib": {"level": "ERROR"},
        "oauth2_provider": {"level": "ERROR"},
    },
}

# -- The admin, grouped by job -----------------------------------------------------------------


def menu(title: str, *pages: tuple[str, str, str]) -> dict[str, object]:
    """A group of the side bar; who may not view a page does not see it. A page is a list, or `list/page`."""
    items = [
        {
            "title": name,
            "icon": icon,
            "link": reverse_lazy(f"admin:{page.replace('/', '_') if '/' in page else f'{page}_changelist'}"),
            "permission": partial(may_view, page.partition("/")[0]),
        }
        for name, icon, page in pages
    ]
    return {"title": title, "separator": True, "items": items}


def may_view(page: str, request: HttpRequest) -> bool:
    app, model = page.split("_")
    return bool(request.user.has_perm(f"{app}.view_{model}"))


UNFOLD = {
    "SITE_TITLE": "Backstock",
    "SITE_HEADER": "Backstock",
    "SITE_SYMBOL": "inventory_2",
    "SHOW_HISTORY": True,
    # Inline, so that no page asks for a file that is not there.
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
            "%3Cpath fill='%230f766e' d='M1 2h14v4H1zm1 5h12v8H2z'/%3E%3Cpath fill='%23fff' d='M6 9h4v2H6z'/%3E%3C/svg%3E",
        }
    ],
    "DASHBOARD_CALLBACK": "inventory_site.dashboard.show",
    "ACCOUNT": {
        "navigation": [
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
            {"title": "Second factor", "link": reverse_lazy("staff_second_factor")},
        ]
    },
    "COMMAND": {"search_callback": "inventory_site.palette.find"},
    "BORDER_RADIUS": "6px",
    # Petrol; white on 600 and 600 on white both pass WCAG AA (5.5:1).
    "COLORS": {
        "primary": {
            "50": "oklch(98.4% .014 180.7)",
            "100": "oklch(95.3% .03 180.8)",
            "200": "oklch(91% .06 180.4)",
            "300": "oklch(82% .09 181.1)",
            "400": "oklch(72% .11 182.5)",
            "500": "oklch(60% .118 184.7)",
            "600": "oklch(51.1% .096 186.4)",
            "700": "oklch(43.7% .078 188.2)",
            "800": "oklch(38.6% .063 188.4)",
            "900": "oklch(33% .054 190)",
            "950": "oklch(27.7% .046 192.5)",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "navigation": [
            menu(
                "Stock",
                ("Levels", "shelves", "stock_level"),
                ("Reservations", "bookmark", "stock_reservation"),
                ("Promise rules", "rule_settings", "stock_promiserule"),
                ("Transfers", "sync_alt", "stock_transfer"),
                ("Inbound", "input", "stock_inbound"),
                ("Counts", "checklist", "stock_count"),
                ("Count lines", "fact_check", "stock_countline"),
                ("Stock imports", "upload_file", "stock_stockimport"),
                ("Batches", "science", "stock_batch"),
                ("Recalls", "campaign", "stock_recall"),
                ("Serial numbers", "qr_code_2", "stock_serial"),
                ("Warehouses", "warehouse", "stock_warehouse"),
                ("Reasons", "help", "stock_reason"),
            ),
            menu(
                "Orders",
                ("Orders", "receipt_long", "orders_order"),
                ("Fulfilment requests", "assignment", "orders_fulfilmentrequest"),
                ("Pick waves", "trolley", "orders_pickwave"),
                ("Packages", "package_2", "orders_package"),
                ("Shipments", "local_shipping", "orders_shipment"),
                ("Returns", "assignment_return", "orders_return"),
                ("Warranty claims", "shield", "orders_warrantyclaim"),
                ("Feedback", "forum", "orders_feedback"),
                ("Shops' reports", "point_of_sale", "orders_salesbatch"),
                ("Found at sale", "help_center", "orders_foundatsale"),
                ("Carrier services", "conveyor_belt", "orders_carrierservice"),
                ("Shipping calendars", "calendar_month", "orders_shippingcalendar"),
                ("Pickups", "schedule", "orders_pickup"),
                ("Routing policies", "alt_route", "orders_routingpolicy"),
                ("Sending costs", "payments", "orders_sendingcost"),
                ("SSCC series", "tag", "orders_ssccseries"),
                ("Delivery promises", "verified", "orders_deliverypromise"),
            ),
            menu(
                "Purchasing",
                ("Purchase orders", "shopping_cart", "orders_purchaseorder"),
                ("Ship notices", "local_shipping", "orders_advanceshipnotice"),
                ("Receipts", "receipt", "orders_receipt"),
                ("Receive goods", "barcode_scanner", "orders_receipt/receive"),
                ("Supplier terms", "handshake", "orders_supplierterms"),
            ),
            menu(
                "Value",
                ("Inventory value", "account_balance", "stock_costpool"),
                ("Cost layers", "layers", "stock_costlayer"),
                ("Costs told", "request_quote", "stock_costnote"),
                ("Revaluations", "price_change", "stock_revaluation"),
                ("Costing rules", "calculate", "stock_costingrule"),
            ),
            menu(
                "Catalog",
                ("Products", "category", "catalog_variant"),
                ("Imports", "upload_file", "catalog_catalogimport"),
                ("Identifiers", "barcode", "catalog_identifier"),
                ("Price lists", "sell", "catalog_pricelist"),
                ("Prices", "payments", "catalog_price"),
                ("Find parts", "car_gear", "catalog_fitment/find"),
                ("Fitments", "directions_car", "catalog_fitment"),
                ("Equal parts", "swap_horiz", "catalog_interchangegroup"),
                ("Vehicles", "garage", "catalog_vehicle"),
                ("Vehicle aliases", "join", "catalog_vehiclealias"),
                ("Product types", "label", "catalog_producttype"),
            ),
            menu(
                "Partners",
                ("Partners", "handshake", "partners_partner"),
                ("Owners' grants", "key_visualizer", "stock_ownergrant"),
                ("Applications", "key", "partners_application"),
                ("API keys", "vpn_key", "partners_apikey"),
                ("Webhooks", "webhook", "partners_webhook"),
                ("Webhook letters", "outgoing_mail", "partners_webhookdelivery"),
            ),
            menu(
                "Audit",
                ("Ledger", "menu_book", "stock_movement"),
                ("Who looked up what", "visibility", "stock_lookup"),
                ("Leak report", "troubleshoot", "stock_lookup/report"),
                ("Events", "bolt", "partners_outboxevent"),
                ("Idempotency keys", "fingerprint", "partners_idempotencykey"),
                ("Authentication", "passkey", "partners_authenticationattempt"),
            ),
            menu("People", ("Users", "person", "auth_user"), ("Roles", "group", "auth_group")),
        ],
    },
}
