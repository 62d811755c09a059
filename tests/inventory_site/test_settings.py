from __future__ import annotations

import re
import runpy
import subprocess

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.inventory_site.conftest import BASE_DIR, PYTHON, environment

SAFE = {
    "BACKSTOCK_MODE": "production",
    "SECRET_KEY": "only-for-this-test-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG",
    "ALLOWED_HOSTS": "stock.example.com",
    "DATABASE_URL": "postgres://backstock:secret@db.example.com/backstock",
    "CELERY_BROKER_URL": "amqps://backstock:secret@mq.example.com//",
    "CACHE_URL": "rediss://cache.example.com/0",
}


def read(monkeypatch, **variables: str | None) -> dict[str, object]:
    """The settings file, read anew in this environment and no other."""
    for name in {*SAFE, "DJANGO_DEBUG", "CELERY_TASK_ALWAYS_EAGER", "BACKSTOCK_STATE_DIR"}:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return runpy.run_path(str(BASE_DIR / "inventory_site" / "settings.py"))


class TestProduction:
    def test_starts_with_safe_settings(self, monkeypatch):
        made = read(monkeypatch, **SAFE)
        assert made["DEBUG"] is False
        assert made["SESSION_COOKIE_SECURE"] is made["CSRF_COOKIE_SECURE"] is made["SECURE_SSL_REDIRECT"] is True

    @pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"])
    @pytest.mark.parametrize("value", [None, ""])
    def test_names_what_is_missing(self, monkeypatch, name, value):
        with pytest.raises(ImproperlyConfigured, match=f"^{name} is not set"):
            read(monkeypatch, **{**SAFE, name: value})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SECRET_KEY", "short"),
            ("ALLOWED_HOSTS", "*"),
            ("ALLOWED_HOSTS", "stock.example.com, *"),
            ("DJANGO_DEBUG", "1"),
            ("DATABASE_URL", "sqlite:///db.sqlite3"),
            ("CELERY_BROKER_URL", "memory://"),
            ("CELERY_TASK_ALWAYS_EAGER", "1"),
            ("CACHE_URL", "locmemcache://"),
            ("BACKSTOCK_MODE", "prod"),
        ],
    )
    def test_names_what_is_unsafe(self, monkeypatch, name, value):
        with pytest.raises(ImproperlyConfigured, match=f"^{name} "):
            read(monkeypatch, **{**SAFE, name: value})

    def test_makes_no_key_of_its_own(self, monkeypatch, tmp_path):
        with pytest.raises(ImproperlyConfigured):
            read(monkeypatch, **{**SAFE, "SECRET_KEY": None, "BACKSTOCK_STATE_DIR": str(tmp_path)})
        assert list(tmp_path.iterdir()) == []

    def test_passes_the_deployment_checks_without_a_warning(self):
        # The checks look at code and settings only, so these servers need not exist.
        done = subprocess.run(
            [PYTHON, "manage.py", "check", "--deploy", "--fail-level", "INFO"],
            cwd=BASE_DIR,
            env=environment(**SAFE),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout.strip() == "System check identified no issues (0 silenced).", done.stderr
        assert done.returncode == 0


class TestDevelopment:
    def test_answers_on_this_machine_only(self, monkeypatch, tmp_path):
        made = read(monkeypatch, BACKSTOCK_STATE_DIR=str(tmp_path))
        assert set(made["ALLOWED_HOSTS"]) == {"localhost", "127.0.0.1", "[::1]", "testserver"}

    def test_makes_a_key_for_this_folder_and_keeps_it(self, monkeypatch, tmp_path):
        first = read(monkeypatch, BACKSTOCK_STATE_DIR=str(tmp_path))["SECRET_KEY"]
        assert read(monkeypatch, BACKSTOCK_STATE_DIR=str(tmp_path))["SECRET_KEY"] == first
        assert oct((tmp_path / "secret_key").stat().st_mode)[-3:] == "600"

    def test_the_example_file_names_every_variable(self):
        settings = (BASE_DIR / "inventory_site" / "settings.py").read_text()
        read_here = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"|required\(\s*"([A-Z_]+)"', settings))
        example = (BASE_DIR / "inventory_site" / "deploy" / "backstock.env").read_text()
        missing = {one or other for one, other in read_here} - set(
            re.findall(r"^#?\s*([A-Z_]+)=", example, re.MULTILINE)
        )
        assert missing == set()
