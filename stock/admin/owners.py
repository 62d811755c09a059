"""Who may be promised the stock of others."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from partners.admin import ChoosingAdmin
from stock.models import OwnerGrant


@admin.register(OwnerGrant)
class OwnerGrantAdmin(ChoosingAdmin):
    """A grant is given or taken back as a whole; what is promised by it stays promised."""

    list_display = ("owner", "to")
    list_select_related = ("owner", "partner")
    search_fields = ("owner__code__holds", "partner__code__holds")
    search_help_text = "An owner's or a partner's code"
    autocomplete_fields = ("owner", "partner")

    @display(description="To")
    def to(self, grant: OwnerGrant) -> str:
        return str(grant.partner or "Everybody")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing leans on a grant, and one that cannot be taken back is none: who may give may take."""
        return bool(request.user.has_perm("stock.change_ownergrant"))
