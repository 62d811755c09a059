"""What the OAuth library asks us: which scopes an application may be given."""

from __future__ import annotations

from typing import Any

from oauth2_provider.scopes import BaseScopes

from partners.scopes import TEXTS


class ApplicationScopes(BaseScopes):
    """The token endpoint's view of scopes: an application gets no more than it was given."""

    def get_all_scopes(self) -> dict[str, str]:
        return TEXTS

    def get_available_scopes(self, application: Any = None, request: Any = None, *args: Any, **kw: Any) -> list[str]:
        return application.scopes if application else list(TEXTS)

    def get_default_scopes(self, application: Any = None, request: Any = None, *args: Any, **kw: Any) -> list[str]:
        return self.get_available_scopes(application)
