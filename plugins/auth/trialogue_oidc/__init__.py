"""Logging in with OpenID Connect: the code flow with PKCE, state and nonce, at any provider that publishes its metadata.

    TRIALOGUE_OIDC_PROVIDERS=work
    TRIALOGUE_OIDC_WORK_ISSUER=https://login.example.org/realms/work
    TRIALOGUE_OIDC_WORK_CLIENT_ID=trialogue
    TRIALOGUE_OIDC_WORK_CLIENT_SECRET=...       absent for a public client
    TRIALOGUE_OIDC_WORK_TITLE="Example Ltd"     on the button; absent, the name
    TRIALOGUE_OIDC_WORK_SCOPES="openid email profile"
    TRIALOGUE_OIDC_WORK_LINK=verified-email     let a verified address take over the account that has it; absent, never
    TRIALOGUE_OIDC_WORK_REGISTRATION=open       let it make accounts though registration is not open

The provider is told to send people back to ``https://<this server>/api/auth/oidc/work/callback``.

    _settings   these variables
    _http       asking the provider, with bounds
    _metadata   its published metadata and keys, kept for a while
    _token      what makes an ID token good
    _login      the flow
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from trialogue import ConfigurationError, RedirectLogin, hookimpl
from trialogue_oidc._settings import read_settings


@hookimpl
def trialogue_redirect_logins(environment: Mapping[str, str]) -> Sequence[RedirectLogin]:
    """One login for each provider that is named."""
    settings = read_settings(environment)
    if not settings:
        return []
    if missing := [name for name in ("httpx2", "jwt") if find_spec(name) is None]:
        raise ConfigurationError(f"{' and '.join(missing)} missing: pip install 'trialogue[oidc]'")
    from trialogue_oidc._login import OidcLogin

    return [OidcLogin(one) for one in settings]
