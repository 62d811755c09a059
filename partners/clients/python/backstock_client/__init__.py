"""A Backstock site from Python, without dependencies.

`Backstock` is the site; `TokenKeeper` keeps one OAuth token for all threads and processes of a machine, for
this site or any other.
"""

from .client import Backstock, EventFeed
from .grants import ClientCredentials, Grant, PasswordGrant
from .keeper import CredentialsRefused, Token, TokenKeeper, TokenUnavailable
from .problems import BackstockError, Problem, Unreachable
from .stores import FileStore, MemoryStore, Store, UnsafePlace, default_store
from .transport import Answer, Session, StandardSession

__all__ = [
    "Answer",
    "Backstock",
    "BackstockError",
    "ClientCredentials",
    "CredentialsRefused",
    "EventFeed",
    "FileStore",
    "Grant",
    "MemoryStore",
    "PasswordGrant",
    "Problem",
    "Session",
    "StandardSession",
    "Store",
    "Token",
    "TokenKeeper",
    "TokenUnavailable",
    "Unreachable",
    "UnsafePlace",
    "default_store",
]
