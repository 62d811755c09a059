"""One OAuth token for all threads and processes that need it.

The naive way keeps the token in a variable and fetches another when a call is refused. Then all calls that are
refused at the same moment fetch one each, in each process, and may overwrite the newer with the older. Here every
token has a generation, and whoever was refused with generation g gets a later one: the one that is there already,
or the one the first of them fetches while the others wait.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

from . import kept
from .forks import renew_in_child
from .grants import Grant
from .kept import Kept
from .problems import BackstockError
from .stores import Store, default_store
from .transport import BROKEN, Answer, Session, StandardSession

log = logging.getLogger("backstock_client")
LOOK_SECONDS = 0.02


class TokenUnavailable(BackstockError):
    """No token can be had now; all who waited for it are told the same. Try again after `retry_after_seconds`."""

    def __init__(self, detail: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class CredentialsRefused(TokenUnavailable):
    """The token endpoint does not accept these credentials or this scope. Waiting will hardly help."""


@dataclass(frozen=True)
class Token:
    """A token as one process holds it: `text` goes into the header, the moments are of this process's own clock."""

    text: str = field(repr=False)
    generation: int
    renew_at: float
    ends_at: float


class Refusable(Protocol):
    @property
    def status(self) -> int: ...


Reply = TypeVar("Reply", bound=Refusable)


class TokenKeeper:
    """Keeps the token for one token endpoint and grant; share one keeper between all threads of a process.

    Keepers of other processes with the same address, grant and store share its token. `session` makes the way its
    requests travel, `timeout_seconds` bounds one of them, `patience_seconds` how long a call waits for a token in
    all. A token is renewed in the background once `renew_after` of its life is over (and up to a tenth of its life
    later, by chance); until it ends, calls go on with it.
    """

    def __init__(
        self,
        *,
        token_url: str,
        grant: Grant,
        store: Store | None = None,
        session: Callable[[], Session] = StandardSession,
        timeout_seconds: float = 10.0,
        patience_seconds: float = 30.0,
        renew_after: float = 0.8,
        lifetime_default_seconds: float = 300.0,
    ) -> None:
        self._token_url = token_url
        self._grant = grant
        self._store = default_store() if store is None else store
        self._session = session
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._renew_after = renew_after
        self._lifetime_default_seconds = lifetime_default_seconds
        self._key = _key(token_url, grant)
        self._token: Token | None = None
        self._known = Kept()
        self._start_anew()
        renew_in_child(self, TokenKeeper._start_anew)

    def __repr__(self) -> str:
        return f"<TokenKeeper of {self._token_url}>"

    def _start_anew(self) -> None:
        """Also of a forked child, where whoever held the lock or led the flight does not exist."""
        self._lock = threading.Lock()
        self._flight: Future[Token] | None = None
        self._quiet_until = 0.0

    def token(self) -> Token:
        """A token good for a call now, usually without any waiting. Raises TokenUnavailable."""
        token = self._token
        now = time.monotonic()
        if token is None or now >= token.ends_at:
            return self._later_than(0)
        if now >= token.renew_at and now >= self._quiet_until:
            self._renew_in_background(token)
        return token

    def renewed(self, refused: Token) -> Token:
        """A token later than one that was answered with 401: fetched at most once, whoever asks. Raises TokenUnavailable."""
        return self._later_than(refused.generation)

    def call(self, send: Callable[[str], Reply]) -> Reply:
        """Send with a token; when the answer's `status` is 401, once more with a later one.

        A second 401 is final: that answer is returned, and for a while no further token is asked for.
        """
        token = self.token()
        reply = send(token.text)
        if reply.status != 401:
            return reply
        later = self.renewed(token)
        reply = send(later.text)
        if reply.status == 401:
            self._doubt(later)
        return reply

    # -- within this process: one flight at a time, and all who wait get what it brings ------------------------

    def _later_than(self, generation: int) -> Token:
        until = time.monotonic() + self._patience_seconds
        while True:
            token = self._good(generation)
            if token is not None:
                return token
            flight, is_ours = self._join(generation)
            if is_ours:
                self._fly(flight, generation)
            try:
                flight.result(max(0.0, until - time.monotonic()))
            except FutureTimeoutError:
                raise TokenUnavailable(f"No token within {self._patience_seconds:g} s.") from None
            except TokenUnavailable as error:  # one of its own for each who waited: a raised exception keeps a trace
                raise type(error)(str(error), retry_after_seconds=error.retry_after_seconds) from None
            if time.monotonic() > until:
                raise TokenUnavailable(f"No token that lives long enough within {self._patience_seconds:g} s.")

    def _good(self, generation: int) -> Token | None:
        token = self._token
        is_good = token is not None and token.generation > generation and time.monotonic() < token.ends_at
        return token if is_good else None

    def _join(self, generation: int) -> tuple[Future[Token], bool]:
        """The flight that is under way, or a new one that is ours to fly; looked at again under the lock."""
        with self._lock:
            if self._flight is not None:
                return self._flight, False
            flight: Future[Token] = Future()
            token = self._good(generation)
            if token is not None:
                flight.set_result(token)
                return flight, False
            self._flight = flight
            return flight, True

    def _fly(self, flight: Future[Token], generation: int) -> None:
        try:
            token = self._fetch_later_than(generation)
        except BaseException as error:
            if isinstance(error, TokenUnavailable):
                self._quiet_until = time.monotonic() + error.retry_after_seconds
            with self._lock:
                self._flight = None
            is_ours_alone = not isinstance(error, Exception)  # Ctrl-C ends this call, not those of the others
            flight.set_exception(TokenUnavailable("Whoever asked for it was stopped.") if is_ours_alone else error)
            if is_ours_alone:
                raise
            return
        with self._lock:
            self._token = token
            self._flight = None
        flight.set_result(token)

    def _renew_in_background(self, token: Token) -> None:
        flight, is_ours = self._join(token.generation)
        if is_ours:
            # A daemon: a program that ends must not wait for it, and the lock ends with the program.
            threading.Thread(
                target=self._fly, args=(flight, token.generation), name="backstock-token", daemon=True
            ).start()

    # -- between processes: the lock of the store, and a second look under it --------------------------------------

    def _fetch_later_than(self, generation: int) -> Token:
        token = self._adopt(self._load(), generation)
        if token is not None:
            return token
        with self._alone(generation) as is_alone:
            found = self._load()
            token = self._adopt(found, generation)
            if token is not None:
                return token
            if not is_alone:
                raise TokenUnavailable("Another process has been asking for it for too long.", retry_after_seconds=1.0)
            pause = found.pause_left_seconds(time.time())
            if pause > 0:
                raise _unavailable(found, pause)
            began = time.monotonic()
            found = self._ask(found, generation)
            self._save(found)
            if found.failures:
                raise _unavailable(found, found.pause_seconds)
            log.info("A new token of %s, good for %.0f s.", self._token_url, found.lifetime_seconds)
            return self._as_token(found, found.lifetime_seconds, began)

    def _adopt(self, found: Kept, generation: int) -> Token | None:
        left = found.left_seconds(time.time())
        if found.generation <= generation or left <= 0:
            return None
        # The moments of a generation are computed once: what happens to the wall clock later does not move them.
        if self._token is not None and self._token.generation == found.generation:
            return self._token if time.monotonic() < self._token.ends_at else None
        return self._as_token(found, left, time.monotonic())

    def _as_token(self, found: Kept, left: float, now: float) -> Token:
        share_left = 1 - self._renew_after - random.random() * min(0.1, 1 - self._renew_after)  # noqa: S311  spread, not secrecy
        return Token(found.token, found.generation, now + left - share_left * found.lifetime_seconds, now + left)

    @contextmanager
    def _alone(self, generation: int) -> Any:
        """Hold the store's lock, or stop waiting for it as soon as its holder has brought what we want."""
        until = time.monotonic() + self._patience_seconds
        pause = threading.Event()
        while True:
            try:
                give_back = self._store.try_lock(self._key)
            except OSError as error:
                log.warning("The store of tokens cannot be locked (%s); this process asks for itself.", error)
                give_back = _nothing
            if give_back is not None:
                break
            if self._adopt(self._load(), generation) is not None or time.monotonic() > until:
                yield False
                return
            pause.wait(LOOK_SECONDS)
        try:
            yield True
        finally:
            give_back()

    def _doubt(self, token: Token) -> None:
        with self._alone(token.generation) as is_alone:
            found = self._load()
            if is_alone and found.generation == token.generation and not found.pause_left_seconds(time.time()):
                self._save(found.doubted(now=time.time(), jitter=random.random()))  # noqa: S311  spread, not secrecy

    def _load(self) -> Kept:
        """What the store says, or what this process knows where that is later or the store was lost."""
        try:
            self._known = kept.latest(kept.read(self._store.load(self._key)), self._known)
        except OSError as error:
            log.warning("The store of tokens cannot be read (%s).", error)
        return self._known

    def _save(self, found: Kept) -> None:
        self._known = found
        try:
            self._store.save(self._key, found.as_text())
        except OSError as error:
            log.warning("The store of tokens cannot be written (%s); other processes will ask for their own.", error)

    # -- the request ---------------------------------------------------------------------------------------------------

    def _ask(self, found: Kept, generation: int) -> Kept:
        """One request to the token endpoint, and what is known after it."""
        now = time.time()  # before the request: a token lives from when it was made, not from when it arrived
        answer: Answer | None = None
        session = self._session()
        try:
            answer = session.request(
                "POST",
                self._token_url,
                headers={
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Accept": "application/json",
                    "Connection": "close",
                    **self._grant.headers(),
                },
                body=urlencode(self._grant.form()).encode(),
                timeout_seconds=self._timeout_seconds,
            )
            token, lifetime_seconds = self._understand(answer)
            return found.renewed(token=token, lifetime_seconds=lifetime_seconds, now=now, known=generation)
        except BROKEN as error:
            reason = str(error) if isinstance(error, _Refusal) else f"{type(error).__name__} at the token endpoint"
            log.warning("No new token of %s: %s", self._token_url, reason)
            return found.failed(
                now=time.time(),
                reason=reason,
                jitter=random.random(),  # noqa: S311  spread, not secrecy
                is_rejected=answer is not None and answer.status in {400, 401, 403},
                asked_seconds=answer.retry_after_seconds() if answer is not None else None,
            )
        finally:
            session.close()

    def _understand(self, answer: Answer) -> tuple[str, float]:
        try:
            body = json.loads(answer.body)
        except (ValueError, RecursionError):
            body = None
        body = body if isinstance(body, dict) else {}
        if answer.status != 200:
            # Only the code: a description may repeat what we sent.
            code = body.get("error")
            said = f" {code}" if isinstance(code, str) and code.isidentifier() and len(code) <= 40 else ""
            raise _Refusal(f"the token endpoint answered {answer.status}{said}")
        token, lifetime = body.get("access_token"), body.get("expires_in", self._lifetime_default_seconds)
        if not isinstance(token, str) or not kept.TOKEN.fullmatch(token):
            raise _Refusal("the token endpoint's answer holds no usable access_token")
        if str(body.get("token_type", "bearer")).lower() != "bearer":
            raise _Refusal("the token endpoint's token is not a bearer token")
        try:
            lifetime_seconds = float(lifetime)
        except (TypeError, ValueError):
            lifetime_seconds = self._lifetime_default_seconds
        if not 0 < lifetime_seconds <= kept.LIFETIME_SECONDS_MAX:
            lifetime_seconds = self._lifetime_default_seconds
        return token, lifetime_seconds


class _Refusal(http.client.HTTPException):
    """The token endpoint answered, but not with a token."""


def _unavailable(found: Kept, pause: float) -> TokenUnavailable:
    kind = CredentialsRefused if found.is_rejected else TokenUnavailable
    return kind(f"No token: {found.reason}. Asked again in {pause:.1f} s.", retry_after_seconds=pause)


def _nothing() -> None:
    """Gives back a lock that was never had."""


def _key(token_url: str, grant: Grant) -> str:
    """The token's name in the store: of where and as whom it is asked for, slow to guess secrets back from."""
    secret = json.dumps([sorted(grant.form().items()), sorted(grant.headers().items())]).encode()
    return hashlib.scrypt(secret, salt=token_url.encode(), n=2**12, r=8, p=1, dklen=20).hex()
