"""Staff come in: by password, and by the second factor of whoever has one.

After the password alone nobody is logged in: who has a second factor is remembered for some minutes as one who
waits, with no more rights than anybody, until the code is right too.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.generic import FormView
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from partners import addresses, totp
from partners.middleware import MUST_ENROL
from partners.models import AuthenticationAttempt, SecondFactor
from partners.operations import attempts, second_factor
from partners.problems import Problem

WAITING = "waits_for_second_factor"
WAITING_SECONDS_MAX = 300
ISSUER = "Backstock"
Kind = AuthenticationAttempt.Kind


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=40,
        label="Code",
        widget=UnfoldAdminTextInputWidget(
            attrs={
                "autocomplete": "one-time-code",
                "autofocus": "",
                "inputmode": "text",
                "autocapitalize": "characters",
            }
        ),
        help_text="Six digits from your authenticator app, or a recovery code.",
    )


class Password(LoginView):
    """The first step, and the only one for whoever has no second factor."""

    template_name = "admin/login.html"
    authentication_form = AuthenticationForm

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if request.method == "GET" and admin.site.has_permission(request):
            return HttpResponseRedirect(self.get_success_url())
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        page = {"title": "Log in", "subtitle": None, "app_path": self.request.get_full_path()}
        return super().get_context_data(**admin.site.each_context(self.request), **page, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        note(self.request, Kind.STAFF, attempts.OK, user.get_username())
        if not second_factor.is_set(user=user):
            return admit(self.request, user, user.backend, self.get_success_url())
        self.request.session[WAITING] = {
            "user": user.pk,
            "backend": user.backend,
            "password": user.get_session_auth_hash(),
            "since": timezone.now().timestamp(),
            "next": self.get_success_url(),
        }
        return redirect("staff_login_code")

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        is_locked = bool(getattr(self.request, "axes_locked_out", False))
        note(
            self.request,
            Kind.STAFF,
            "locked_out" if is_locked else "wrong_password",
            known_as(form.data.get("username", "")),
        )
        return super().form_invalid(form)


@method_decorator(never_cache, name="dispatch")
class Code(FormView):
    """The second step. Who does not wait, or has waited too long, begins again."""

    template_name = "admin/login_code.html"
    form_class = CodeForm

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self.waiting = request.session.get(WAITING, {})
        self.user = waiting_user(self.waiting)
        return super().dispatch(request, *args, **kwargs) if self.user else redirect("admin:login")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**admin.site.each_context(self.request), title="Your code", **kwargs)

    def form_valid(self, form: CodeForm) -> HttpResponse:
        user = self.user
        assert user is not None  # noqa: S101  dispatch let nobody else in
        try:
            used = second_factor.check(user=user, code=form.cleaned_data["code"], at=timezone.now())
        except Problem as problem:
            note(self.request, Kind.TOTP, problem.code, user.get_username())
            form.add_error("code", str(problem))
            return self.form_invalid(form)
        note(self.request, Kind.TOTP, attempts.OK, user.get_username())
        if used == "recovery code":
            left = SecondFactor.objects.get(user=user).recovery_codes.filter(used_at__isnull=True).count()
            messages.warning(self.request, f"That recovery code is used up; {left} are left.")
        return admit(self.request, user, self.waiting["backend"], self.waiting["next"])


def waiting_user(waiting: dict[str, Any]) -> User | None:
    """Who gave the right password a moment ago, if they still may come in and it is still the password."""
    if not waiting or timezone.now().timestamp() - waiting["since"] > WAITING_SECONDS_MAX:
        return None
    user = User.objects.filter(pk=waiting["user"], is_active=True, is_staff=True).first()
    return user if user and constant_time_compare(user.get_session_auth_hash(), waiting["password"]) else None


def admit(request: HttpRequest, user: User, backend: str, next_url: str) -> HttpResponse:
    """Log them in; who must have a second factor and has none finds only the page that makes one."""
    request.session.pop(WAITING, None)
    login(request, user, backend=backend)
    if is_demanded(user) and not second_factor.is_set(user=user):
        request.session[MUST_ENROL] = True
    return HttpResponseRedirect(next_url)


def known_as(username: str) -> str:
    """The user it was tried as. What nobody is called may be a password in the wrong field: of that, a beginning."""
    if "\x00" in username or len(username) > 150:
        return ""
    return username if User.objects.filter(username=username).exists() else f"{username[:2]}…"


def note(request: HttpRequest, kind: str, outcome: str, name: str) -> None:
    attempts.record(
        kind=kind,
        outcome=outcome,
        name=name,
        address=addresses.client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
        at=timezone.now(),
    )


@never_cache
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """One's own second factor: make it, get new recovery codes, or turn it off."""
    if not admin.site.has_permission(request):
        return redirect("admin:login")
    user: Any = request.user
    form = CodeForm(request.POST or None)
    codes: list[str] = []
    if request.method == "POST" and form.is_valid():
        try:
            codes = change(request, user, request.POST.get("step", ""), form.cleaned_data["code"])
        except Problem as problem:
            note(request, Kind.TOTP, problem.code, user.get_username())
            form.add_error("code", str(problem))
        else:
            if not codes:
                return redirect("staff_second_factor")
    factor = SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).first()
    context = {
        **admin.site.each_context(request),
        "title": "Second factor",
        "form": form,
        "factor": factor,
        "left": factor.recovery_codes.filter(used_at__isnull=True).count() if factor else 0,
        "codes": codes,
        "must": is_demanded(user),
    }
    if factor is None:
        form.fields["code"].help_text = "Six digits, new ones each half minute."
        secret = second_factor.begin(user=user)
        text = totp.address(secret, issuer=ISSUER, account=user.get_username())
        context["secret"] = " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))
        context["picture"] = mark_safe(totp.picture(text))  # noqa: S308  squares we draw ourselves
    return render(request, "admin/second_factor.html", context)


def change(request: HttpRequest, user: User, step: str, code: str) -> list[str]:
    """What the page asks for, if the code is right; recovery codes to show, if there are new ones."""
    now = timezone.now()
    if not second_factor.is_set(user=user):
        codes = second_factor.confirm(user=user, code=code, at=now)
        request.session.pop(MUST_ENROL, None)
        messages.success(request, "From now on you are asked for a code at each log-in.")
        return codes
    second_factor.check(user=user, code=code, at=now)
    if step == "renew":
        return second_factor.renew_recovery_codes(user=user)
    if step == "remove" and not is_demanded(user):
        second_factor.remove(user=user)
        messages.success(request, "Your password alone lets you in again.")
    return []


def is_demanded(user: User) -> bool:
    return settings.STAFF_TOTP == "required" or (settings.STAFF_TOTP == "superusers" and user.is_superuser)
