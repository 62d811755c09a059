"""The reasons staff choose from. Retired, not deleted: movements name them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from stock.models import Reason


@admin.register(Reason)
class ReasonAdmin(ModelAdmin):
    list_display = ("code", "name", "operation", "place", "is_active")
    list_filter = ("operation", "is_active")
    search_fields = ("code", "name__holds")
    show_full_result_count = False
    list_per_page = 50
    warn_unsaved_form = True

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What movements already say by this code keeps its meaning."""
        return ("code", "operation", "place") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
