"""Staff users and roles in the house's own dress."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, BaseDialogForm, UserChangeForm, UserCreationForm

from partners.admin import ask, back_to
from partners.operations import second_factor

admin.site.index_title = "How things stand"
admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    autocomplete_fields = ("groups",)
    filter_horizontal = ("user_permissions",)
    show_full_result_count = False
    list_per_page = 50
    actions_detail = ("reset_second_factor",)

    def has_reset_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Another superuser, so that whoever finds one's browser open cannot take one's second factor away."""
        return bool(request.user.is_superuser) and str(object_id) != str(request.user.pk)

    @action(
        description="Reset second factor",
        icon="phonelink_erase",
        permissions=["reset"],
        dialog=ask(
            "Reset the second factor?",
            "Forgets the app and the recovery codes: their password alone lets them in. Be sure who asks for it.",
            "Reset",
        ),
    )
    def reset_second_factor(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        user = get_object_or_404(User, pk=object_id)
        if second_factor.remove(user=user):
            self.log_change(request, user, "Reset the second factor.")
            messages.success(request, f"{user} has no second factor any more.")
        else:
            messages.info(request, f"{user} has none.")
        return back_to(request, reverse("admin:auth_user_change", args=[user.pk]))


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    show_full_result_count = False
    list_per_page = 50
