"""Settings of a small shop. Its database is a file; its test database is in memory."""

from pathlib import Path

SECRET_KEY = "only an example"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["shop", "isolatedunit.django"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(__file__).parent / "shop.sqlite3"},
}
ROOT_URLCONF = "shop.urls"
STATIC_URL = "static/"
