"""Staff come in by password and, where they have one, by their second factor; and by nothing less."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from partners import strongbox, totp
from partners.admin import login
from partners.models import AuthenticationAttempt, RecoveryCode, SecondFactor
from partners.operations import second_factor
from tests.partners.tried import names, tried

HOME, CODE, PAGE = "/admin/", "/admin/login/code", "/admin/second-factor"


def sign_in(client: Client, to: str = HOME, **fields: str):
    return client.post(f"/admin/login/?next={to}", {"username": "keeper", "password": "keeper"} | fields)


def is_in(client: Client) -> bool:
    return client.get(HOME).status_code == 200


def code_now(user: User, *, steps: int = 0) -> str:
    secret = strongbox.open_again(SecondFactor.objects.get(user=user).secret, purpose=second_factor.PURPOSE)
    return totp.code_of(secret, totp.step_at(timezone.now()) + steps)


def forget_used_codes(user: User) -> None:
    SecondFactor.objects.filter(user=user).update(last_step=0)


@pytest.fixture
def enrolled(staff) -> list[str]:
    """The keeper has an authenticator app; the answer is the recovery codes."""
    second_factor.begin(user=staff)
    codes = second_factor.confirm(user=staff, code=code_now(staff), at=timezone.now())
    forget_used_codes(staff)
    return codes


def test_without_a_second_factor_the_password_lets_in(client, staff):
    assert sign_in(client).headers["Location"] == HOME
    assert is_in(client)
    assert (tried(), names()) == ({("staff", "ok"): 1}, {"keeper"})


def test_with_a_second_factor_the_password_alone_opens_nothing(client, staff, enrolled):
    assert sign_in(client, to="/admin/auth/user/").headers["Location"] == CODE
    assert not is_in(client)
    assert client.get(PAGE).status_code == 302
    assert User.objects.get().last_login is None
    assert client.post(CODE, {"code": code_now(staff)}).headers["Location"] == "/admin/auth/user/"
    assert is_in(client)
    assert (tried(), names()) == ({("staff", "ok"): 1, ("totp", "ok"): 1}, {"keeper"})


def test_who_gave_no_password_is_not_asked_for_a_code(client, staff, enrolled):
    for answer in (client.get(CODE), client.post(CODE, {"code": code_now(staff)})):
        assert answer.headers["Location"] == "/admin/login/"
    assert not is_in(client)


def test_who_waits_too_long_begins_again(client, staff, enrolled):
    sign_in(client)
    session = client.session
    session[login.WAITING] = session[login.WAITING] | {
        "since": timezone.now().timestamp() - login.WAITING_SECONDS_MAX - 1
    }
    session.save()
    assert client.post(CODE, {"code": code_now(staff)}).headers["Location"] == "/admin/login/"
    assert not is_in(client)


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}, {"password": "changed"}])
def test_who_may_not_come_in_any_more_does_not_by_a_code(client, staff, enrolled, change):
    sign_in(client)
    User.objects.update(**change)
    assert client.post(CODE, {"code": code_now(staff)}).headers["Location"] == "/admin/login/"
    assert not is_in(client)


def test_a_code_is_used_up(client, staff, enrolled):
    code = code_now(staff)
    sign_in(client)
    assert client.post(CODE, {"code": code}).status_code == 302
    thief = Client()
    sign_in(thief)
    assert thief.post(CODE, {"code": code}).status_code == 200
    assert not is_in(thief)


def test_after_five_wrong_codes_even_a_right_one_waits(client, staff, enrolled):
    sign_in(client)
    for _ in range(second_factor.FAILURES_MAX):
        assert client.post(CODE, {"code": "000000"}).status_code == 200
    answer = client.post(CODE, {"code": code_now(staff)})
    assert "quarter of an hour" in answer.text
    assert not is_in(client)
    assert tried() == {("staff", "ok"): 1, ("totp", "wrong_code"): 5, ("totp", "too_many_codes"): 1}
    SecondFactor.objects.update(failed_at=timezone.now() - second_factor.LOCKED - timedelta(seconds=1))
    assert client.post(CODE, {"code": code_now(staff)}).status_code == 302
    assert SecondFactor.objects.get().failures == 0


def test_a_recovery_code_lets_in_once_however_it_is_typed(client, staff, enrolled):
    sign_in(client)
    assert client.post(CODE, {"code": f" {enrolled[0].lower()} "}).status_code == 302
    assert is_in(client)
    again = Client()
    sign_in(again)
    assert again.post(CODE, {"code": enrolled[0]}).status_code == 200
    assert again.post(CODE, {"code": enrolled[1].replace("-", "")}).status_code == 302


def test_neither_secret_nor_recovery_codes_are_kept_in_the_clear(staff, enrolled):
    secret = strongbox.open_again(SecondFactor.objects.get().secret, purpose=second_factor.PURPOSE)
    rows = str([bytes(SecondFactor.objects.get().secret), *RecoveryCode.objects.values()])
    assert secret not in rows
    assert all(code.replace("-", "") not in rows for code in enrolled)


def test_enrolment_shows_a_picture_drawn_here_and_then_the_recovery_codes_once(client, staff):
    sign_in(client)
    page = client.get(PAGE)
    assert page.headers["Cache-Control"].startswith("max-age=0")
    assert "<svg" in page.text
    assert client.get(PAGE).text.count("<path") == page.text.count("<path"), "the same secret until it is confirmed"
    assert "Neither" not in client.post(PAGE, {"code": "000000"}).text
    assert not second_factor.is_set(user=staff)
    forget_used_codes(staff)
    done = client.post(PAGE, {"code": code_now(staff)})
    assert done.text.count("<code>") == second_factor.RECOVERY_CODES
    assert "<code>" not in client.get(PAGE).text
    assert second_factor.is_set(user=staff)


def test_new_recovery_codes_and_turning_off_need_a_code(client, staff, enrolled):
    client.force_login(staff)
    client.post(PAGE, {"code": "000000", "step": "remove"})
    assert second_factor.is_set(user=staff)
    renewed = client.post(PAGE, {"code": code_now(staff), "step": "renew"})
    assert renewed.text.count("<code>") == second_factor.RECOVERY_CODES
    with pytest.raises(second_factor.WrongCode):
        second_factor.check(user=staff, code=enrolled[0], at=timezone.now())
    forget_used_codes(staff)
    assert client.post(PAGE, {"code": code_now(staff), "step": "remove"}).status_code == 302
    assert not second_factor.is_set(user=staff)


@pytest.mark.parametrize(
    ("asked_of", "is_superuser", "must"),
    [
        ("optional", True, False),
        ("superusers", True, True),
        ("superusers", False, False),
        ("required", False, True),
    ],
)
def test_who_must_have_a_second_factor_finds_only_the_page_that_makes_one(
    client, staff, settings, asked_of, is_superuser, must
):
    settings.STAFF_TOTP = asked_of
    User.objects.update(is_superuser=is_superuser)
    sign_in(client)
    assert is_in(client) is not must
    for path in ("/admin/auth/user/", "/admin/password_change/"):
        assert (client.get(path).headers.get("Location") == PAGE) is must
    assert client.get(PAGE).status_code == 200
    client.post(PAGE, {"code": code_now(staff)})
    assert is_in(client)
    forget_used_codes(staff)
    client.post(PAGE, {"code": code_now(staff), "step": "remove"})
    assert second_factor.is_set(user=staff) is must, "who must have one does not turn it off"


def test_another_superuser_resets_a_second_factor_and_nobody_their_own(client, staff, enrolled):
    other = User.objects.create_superuser("other", "", "other")
    clerk = User.objects.create_user("clerk", "", "clerk", is_staff=True)
    url = reverse("admin:auth_user_reset_second_factor", args=[staff.pk])
    for user in (staff, clerk):
        client.force_login(user)
        client.post(url, {"_form_submitted": "True"})
        assert second_factor.is_set(user=staff)
    client.force_login(other)
    client.post(url, {"_form_submitted": "True"})
    assert not second_factor.is_set(user=staff)
    assert "Reset the second factor" in client.get(f"/admin/auth/user/{staff.pk}/history/").text


def test_the_command_resets_a_second_factor(staff, enrolled, capsys):
    call_command("reset_second_factor", "keeper")
    assert not second_factor.is_set(user=staff)
    with pytest.raises(CommandError, match="no user nobody"):
        call_command("reset_second_factor", "nobody")


@pytest.mark.parametrize("to", ["//evil.test", "/\\evil.test", "https:evil.test", "https://evil.test/", "///evil.test"])
def test_nobody_is_sent_elsewhere_after_the_log_in(client, staff, enrolled, to):
    with_code, without = Client(), client
    sign_in(with_code, to=to)
    assert with_code.post(CODE, {"code": code_now(staff)}).headers["Location"] == HOME
    SecondFactor.objects.all().delete()
    assert sign_in(without, to=to).headers["Location"] == HOME
    assert without.get(f"/admin/login/?next={to}").headers["Location"] == HOME


def test_after_five_failures_user_and_address_are_locked_out_and_others_are_not(client, staff):
    for number in range(5):
        sign_in(client, password=f"wrong-{number}")
    assert sign_in(client).status_code == 429
    assert not is_in(client)
    elsewhere = Client(REMOTE_ADDR="203.0.113.9")
    spoofing = Client(headers={"X-Forwarded-For": "203.0.113.9"})
    assert sign_in(spoofing).status_code == 429, "a header makes nobody another"
    assert sign_in(elsewhere).status_code == 302
    assert tried() == {("staff", "wrong_password"): 4, ("staff", "locked_out"): 3, ("staff", "ok"): 1}


def test_what_nobody_is_called_is_not_kept_as_a_name(client, staff):
    """People type their password where the name goes."""
    sign_in(client, username="correct horse battery", password="x")
    sign_in(client, username="\x00", password="x")
    assert "horse" not in str(list(AuthenticationAttempt.objects.values()))
    assert names() == {"co…"}


def test_an_unknown_user_costs_the_same_work_as_a_wrong_password(client, staff, monkeypatch):
    """Asserted as work, not as time: the same number of hashes, and of queries, whoever is tried."""
    work: list[str] = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(
        MD5PasswordHasher, "encode", lambda self, password, salt: work.append("hash") or encode(self, password, salt)
    )
    costs = []
    for username in ("keeper", "nobody"):
        work.clear()
        sign_in(Client(REMOTE_ADDR=f"203.0.113.{len(username)}"), username=username, password="wrong")
        costs.append(len(work))
    assert costs[0] == costs[1] >= 1


@pytest.mark.races
def test_of_many_who_send_the_same_code_at_once_one_is_let_in(own_database):
    staff = User.objects.create_superuser("keeper", "", "keeper")
    second_factor.begin(user=staff)
    second_factor.confirm(user=staff, code=code_now(staff), at=timezone.now())
    forget_used_codes(staff)
    code, at, start = code_now(staff), timezone.now(), threading.Barrier(8)
    came_in: list[str] = []

    def one() -> None:
        start.wait()
        try:
            came_in.append(second_factor.check(user=staff, code=code, at=at))
        except (second_factor.WrongCode, second_factor.TooManyCodes):
            pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert came_in == ["app"]
