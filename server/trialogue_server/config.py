"""Every setting there is, each in one place: its name, its type, its default and what it is for.

A row of ``Config`` is all that a new setting needs. Its variable (``TRIALOGUE_PORT``), its flag (``--port``), its key in
the file (``port``), its check, and its line in ``trialogue config`` and ``trialogue serve --help`` follow from it. Where
values come from is told in ``_settings``. Keys of LLM providers are not settings: their plugins read them from the
environment under the names their vendors give them (``OPENAI_API_KEY``, ``OPENAI_BASE_URL``, ``ANTHROPIC_API_KEY``, ...).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_type_hints

import msgspec
from msgspec import Meta

from trialogue_server._settings.setting import Setting

_YEAR = 366 * 24 * 3600.0  # Upper bound of what is counted in seconds; it keeps infinity out as well.

#: A URL's scheme and host, without a path.
Origin: TypeAlias = Annotated[str, Meta(pattern=r"^https?://[^/\s]+/?$")]
#: A model's full id, and a provider's name.
ModelId: TypeAlias = Annotated[str, Meta(pattern="^[a-z0-9-]+:.+$")]
ProviderName: TypeAlias = Annotated[str, Meta(pattern="^[a-z0-9-]+$")]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one process. ``Config()`` is what runs when nothing is configured."""

    # --- where it listens ----------------------------------------------------------------------------------------

    host: Annotated[
        str, Meta(min_length=1, description="Address to listen on; 0.0.0.0 or :: opens the server to the network.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 4512
    public_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/\s]+/?)?$",
            examples=["https://chat.example.org"],
            description="Address under which browsers reach the server.",
        ),
    ] = ""
    trusted_origins: Annotated[
        tuple[Origin, ...],
        Meta(
            examples=["https://app.example.org"],
            description="Other origins whose pages may use the API with a user's cookie.",
        ),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(description="Addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."),
    ] = ()

    # --- what it keeps -------------------------------------------------------------------------------------------

    data_dir: Annotated[Path, Meta(description="Folder that holds everything the server keeps; made when missing.")] = (
        Path("data")
    )
    storage_url: Annotated[
        str,
        Meta(
            min_length=1,
            description="Where conversations are stored: `sqlite:` is a file in the data folder, "
            "`postgresql://user:password@host/database?connections=12` a server.",
        ),
    ] = "sqlite:"
    files_dir: Annotated[
        Path,
        Meta(description="Folder for uploaded files, in the data folder unless absolute; it may be a network share."),
    ] = Path("files")
    redis_url: Annotated[
        str, Meta(description="What several processes share and may lose, as redis://host:6379/0; unset, nothing.")
    ] = ""
    cluster_secret: Annotated[
        str,
        Meta(
            pattern="^([!-+\\--~]{16,500}(,[!-+\\--~]{16,500})?)?$",
            examples=["`openssl rand -hex 32`"],
            description="What the nodes over one PostgreSQL sign with when they ask each other; the same on all of them. "
            "Unset, they ask by way of the database. After a comma another one that is good as well, to change it.",
        ),
    ] = ""
    advertise: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/\s]+/?)?$",
            examples=["http://10.0.0.5:4512"],
            description="Address under which other nodes reach this process itself; unset, host and port.",
        ),
    ] = ""
    node_name: Annotated[
        str,
        Meta(
            pattern="^[!-~]{0,64}$",
            description="Name of this node in lists and logs, the same after a restart; unset, the machine's, and the port.",
        ),
    ] = ""
    delta_retention_hours: Annotated[
        float,
        Meta(
            ge=0, le=_YEAR, description="How long the single tokens of a finished answer stay for clients that resume."
        ),
    ] = 24.0

    trash_days: Annotated[
        float, Meta(gt=0, le=3660, description="Days after which what is in the trash is removed for good.")
    ] = 30.0
    inbox_messages: Annotated[
        int, Meta(ge=1, le=10_000, description="Messages that may wait in one conversation for their turn.")
    ] = 100
    inbox_bytes: Annotated[
        int,
        Meta(
            ge=1024, description="Their bytes as JSON but for the first; each snapshot of the conversation holds them."
        ),
    ] = 4_194_304
    history_messages: Annotated[
        int, Meta(ge=1, le=100_000, description="Messages that a fork or an imported conversation may begin with.")
    ] = 10_000
    history_bytes: Annotated[
        int,
        Meta(ge=1024, description="Bytes of messages that a fork may begin with; it is written in one transaction."),
    ] = 16 * 1024**2
    shares_per_conversation: Annotated[
        int, Meta(ge=1, le=10_000, description="Public links that one conversation may have at a time.")
    ] = 100
    import_max_bytes: Annotated[int, Meta(ge=1024, description="Largest upload of an export to be imported.")] = (
        1_073_741_824
    )
    import_max_unpacked_bytes: Annotated[
        int, Meta(ge=1024, description="What a zip of an export may unpack to, all in all.")
    ] = 8_589_934_592
    import_conversation_bytes: Annotated[
        int, Meta(ge=1024, description="Largest single conversation in an export; larger ones are left out.")
    ] = 33_554_432
    import_max_failures: Annotated[
        int, Meta(ge=0, description="Pieces of an export that may fail before its import is given up.")
    ] = 10_000
    imports_per_user: Annotated[int, Meta(ge=1, description="Imports one user may have under way.")] = 2
    exports_per_user: Annotated[int, Meta(ge=1, description="Exports one user may have under way.")] = 2
    shared_views_per_minute: Annotated[
        int, Meta(ge=1, description="Requests for public links that one address may send in a minute.")
    ] = 300

    # --- who may use it ------------------------------------------------------------------------------------------

    registration: Annotated[
        Literal["open", "invite", "closed"],
        Meta(description="Who may make an account; the first one is always accepted and is administrator."),
    ] = "open"
    session_days: Annotated[float, Meta(gt=0, le=3660, description="Days for which a login holds.")] = 30.0
    rate_per_user: Annotated[
        float, Meta(ge=0, le=1e6, description="Requests a minute that one account may send for long; 0 is no limit.")
    ] = 3000.0
    burst_per_user: Annotated[int, Meta(ge=1, le=10**6, description="Requests that one account may send at once.")] = (
        1000
    )
    rate_per_key: Annotated[
        float, Meta(ge=0, le=1e6, description="Requests a minute that one API key may send for long; 0 is no limit.")
    ] = 3000.0
    burst_per_key: Annotated[int, Meta(ge=1, le=10**6, description="Requests that one API key may send at once.")] = (
        1000
    )
    rate_per_address: Annotated[
        float,
        Meta(
            ge=0,
            le=1e6,
            description="Requests a minute that one address may send for long without logging in; 0 is no limit.",
        ),
    ] = 6000.0
    burst_per_address: Annotated[
        int, Meta(ge=1, le=10**6, description="Requests that one address may send at once without logging in.")
    ] = 2000
    cors_origins: Annotated[
        tuple[Origin, ...],
        Meta(
            examples=["https://app.example.org"],
            description="Origins whose pages may read what the API answers in a browser, and use a user's cookie.",
        ),
    ] = ()
    sessions_per_user: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Devices one user may be logged in on; the one seen longest ago goes first."),
    ] = 100
    keys_per_user: Annotated[int, Meta(ge=0, le=10_000, description="API keys one user may have.")] = 50
    audit_days: Annotated[
        float, Meta(ge=1, le=36_600, description="Days for which the audit log of accounts and logins is kept.")
    ] = 365.0
    invitation_days: Annotated[
        float, Meta(ge=0, le=36_600, description="Days for which an invitation is kept after it was used, or ended.")
    ] = 30.0
    streams_per_user: Annotated[int, Meta(ge=1, description="Live streams one user may have open.")] = 50
    sockets_per_user: Annotated[int, Meta(ge=1, description="WebSockets one user may have open.")] = 20
    subscriptions_per_socket: Annotated[
        int, Meta(ge=1, le=10_000, description="Conversations one WebSocket may subscribe to at a time.")
    ] = 100
    socket_requests: Annotated[
        int,
        Meta(
            ge=1, le=1000, description="Commands of one WebSocket under way at a time; more wait until they are read."
        ),
    ] = 16
    socket_message_bytes: Annotated[
        int, Meta(ge=1024, description="Largest message of a WebSocket: a JSON body, and what is around it.")
    ] = 1_114_112
    socket_hello_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="How long a new WebSocket may take to say who it is.")
    ] = 10.0

    # --- answers -------------------------------------------------------------------------------------------------

    default_model: Annotated[
        str,
        Meta(
            pattern="^([a-z0-9-]+:.+)?$",
            examples=["openai:gpt-5"],
            description="Model of a conversation that names none, as provider:model; unset, the first that is there.",
        ),
    ] = ""
    title_model: Annotated[
        str,
        Meta(
            pattern="^(same|[a-z0-9-]+:.+)?$",
            examples=["same", "openai:gpt-5-nano"],
            description="Model that is asked for a conversation's title, or same for the one that answers; unset, nobody.",
        ),
    ] = ""
    summary_model: Annotated[
        str,
        Meta(
            pattern="^(off|same|[a-z0-9-]+:.+)$",
            examples=["off", "openai:gpt-5-nano"],
            description="Model that sums up the older part of a long conversation; same is the one that answers; or off.",
        ),
    ] = "same"
    summary_share: Annotated[
        float, Meta(ge=0.6, le=1, description="How full of what was said a request is when that is summed up.")
    ] = 0.8
    summary_tokens: Annotated[int, Meta(ge=100, le=20_000, description="Tokens of such a summary, about.")] = 1000
    fallbacks: Annotated[
        dict[ModelId, tuple[ModelId, ...]],
        Meta(
            examples=["openai:gpt-5=anthropic:claude-sonnet-4-5,local:small;local:small=openai:gpt-5"],
            description="Models to ask in the place of one that fails, in this order.",
        ),
    ] = {}
    run_failovers: Annotated[
        int, Meta(ge=0, le=10, description="How often an answer that failed is gone on with, by any model.")
    ] = 2
    stream_buffer_tokens: Annotated[
        int, Meta(ge=1, le=1000, description="Tokens that leave together; the first of an answer goes at once.")
    ] = 5
    stream_window_seconds: Annotated[
        float, Meta(ge=0, le=10, description="Longest time a token waits for others to leave with it.")
    ] = 0.05
    stall_seconds: Annotated[
        float, Meta(gt=0, le=_YEAR, description="Silence of a provider within an answer, after which that has failed.")
    ] = 60.0
    first_token_seconds: Annotated[
        float, Meta(gt=0, le=_YEAR, description="Silence of a provider before an answer, after which that has failed.")
    ] = 60.0
    run_max_seconds: Annotated[float, Meta(gt=0, le=_YEAR, description="Longest time one answer may take.")] = 600.0
    run_max_characters: Annotated[int, Meta(ge=1, description="Characters after which an answer is ended.")] = 1_000_000
    run_generations: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="How often a model may be called in one answer with tools; the last time, without.",
        ),
    ] = 24
    recovery: Annotated[
        Literal["continue", "end"], Meta(description="What becomes of an answer that a crash or a restart interrupted.")
    ] = "continue"
    awake_per_user: Annotated[
        int,
        Meta(ge=1, description="Conversations of one user in memory; of more, the one used longest ago leaves it."),
    ] = 1000
    passivation_seconds: Annotated[
        float, Meta(gt=0, le=_YEAR, description="Idle time after which a conversation leaves memory.")
    ] = 120.0

    # --- tools ---------------------------------------------------------------------------------------------------

    always_ask_tools: Annotated[
        tuple[str, ...],
        Meta(description="Tools for whose calls a person is asked, whatever they and a conversation say; by name."),
    ] = ()
    approval_hours: Annotated[
        float, Meta(gt=0, le=_YEAR / 3600, description="How long a person has to decide about a tool call.")
    ] = 24.0
    tool_calls_at_once: Annotated[
        int, Meta(ge=1, le=1000, description="Tool calls that a model may make at a time; it is told of the rest.")
    ] = 32
    tool_seconds: Annotated[
        float, Meta(gt=0, le=_YEAR, description="Longest time that a tool may take; a tool may have less.")
    ] = 120.0
    tool_argument_characters: Annotated[
        int, Meta(ge=1, description="Characters of a tool call's arguments; a longer call is not made.")
    ] = 100_000
    tool_output_characters: Annotated[
        int, Meta(ge=1, description="Characters of a tool's output; the rest is left out, and said to be.")
    ] = 100_000
    tool_files_per_call: Annotated[
        int, Meta(ge=0, le=100, description="Files, as pictures, that a tool call may return; others are left out.")
    ] = 8
    tool_files_max_bytes: Annotated[
        int, Meta(ge=1, description="Bytes that the files of a tool call may take together; others are left out.")
    ] = 16_777_216
    answer_schema_bytes: Annotated[
        int, Meta(ge=2, le=262_144, description="Size of the JSON Schema that an answer is to fit.")
    ] = 32_768
    answer_schema_seconds: Annotated[
        int,
        Meta(ge=1, le=60, description="Longest time that checking such a schema, or an answer against it, may take."),
    ] = 5

    # --- how providers are asked ---------------------------------------------------------------------------------

    provider_retries: Annotated[
        int, Meta(ge=0, le=10, description="How often a request that a provider turned away is made again.")
    ] = 2
    provider_retry_after_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="Longest wait that a provider may ask for and is granted.")
    ] = 20.0
    provider_concurrency: Annotated[
        dict[ProviderName, Annotated[int, Meta(ge=1)]],
        Meta(
            examples=["openai=50;local=2"],
            description="Answers that a provider is asked for at a time, by its name; others wait for their turn.",
        ),
    ] = {}
    provider_requests_per_minute: Annotated[
        dict[ProviderName, Annotated[int, Meta(ge=1)]],
        Meta(examples=["openai=500"], description="Answers that a provider is asked for in a minute, by its name."),
    ] = {}
    provider_tokens_per_minute: Annotated[
        dict[ProviderName, Annotated[int, Meta(ge=1)]],
        Meta(
            examples=["openai=200000"],
            description="Tokens, of input and output together, that a provider is asked for in a minute, by its name.",
        ),
    ] = {}
    provider_waiting: Annotated[
        int, Meta(ge=0, le=10**6, description="Answers that may wait for their turn at one provider.")
    ] = 1000
    provider_wait_seconds: Annotated[
        float, Meta(gt=0, le=_YEAR, description="How long an answer may wait for its turn at its provider.")
    ] = 300.0
    breaker_failures: Annotated[
        int, Meta(ge=1, le=100, description="Failures of a model after which it is not asked for a while.")
    ] = 5
    breaker_share: Annotated[
        float, Meta(gt=0, le=1, description="Share of what a model is asked that has to fail as well before that.")
    ] = 0.5
    breaker_window_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="How long failures and answers of a model count for that.")
    ] = 30.0
    breaker_rest_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="How long a model that failed too often is not asked, at first.")
    ] = 5.0
    breaker_rest_max_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="The same when it goes on failing: each time twice as long, up to this.")
    ] = 60.0

    # --- what answers cost ---------------------------------------------------------------------------------------

    prices_file: Annotated[
        str,
        Meta(
            examples=["prices.toml"],
            description="TOML file with prices of models, which count before the ones that are built in.",
        ),
    ] = ""
    budget_month_micro_dollars: Annotated[
        int,
        Meta(
            ge=-1,
            le=10**12,
            description="Millionths of a dollar that a user may spend in a month, unless told otherwise; -1 is no limit.",
        ),
    ] = -1
    budget_day_tokens: Annotated[
        int,
        Meta(
            ge=-1, le=10**12, description="Tokens that a user may use in a day, unless told otherwise; -1 is no limit."
        ),
    ] = -1

    # --- searches ------------------------------------------------------------------------------------------------

    search_seconds: Annotated[
        float, Meta(gt=0, le=5, description="Longest time that a search may take; then it is given up.")
    ] = 3.0
    embedder: Annotated[
        str,
        Meta(
            max_length=200,
            examples=["all-MiniLM-L6-v2"],
            description="Embedder for searches by meaning; unset, the first that is there; `none` for none.",
        ),
    ] = ""
    embedding_share: Annotated[
        float, Meta(ge=0.01, le=1, description="Share of its time that making vectors in the background may work.")
    ] = 0.5

    # --- files ---------------------------------------------------------------------------------------------------

    file_max_bytes: Annotated[int, Meta(ge=1, description="Largest file that can be uploaded.")] = 2 * 1024**3
    files_per_upload: Annotated[int, Meta(ge=1, le=900, description="Files in one upload.")] = 20
    files_quota_bytes: Annotated[int, Meta(ge=0, description="What all files of one user may take.")] = 20 * 1024**3
    uploads_per_user: Annotated[int, Meta(ge=1, description="Uploads one user may have under way.")] = 10
    upload_stall_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="How long an upload may pause before it is given up.")
    ] = 30.0
    upload_min_rate: Annotated[
        float, Meta(ge=0, description="Bytes per second below which an upload is given up, after half a minute.")
    ] = 1024.0
    upload_max_seconds: Annotated[float, Meta(gt=0, le=80_000, description="Longest time one upload may take.")] = (
        43_200.0
    )
    file_threads: Annotated[
        int, Meta(ge=1, le=64, description="Calls on files_dir at a time; a share that hangs holds no more threads.")
    ] = 8
    file_read_seconds: Annotated[
        int, Meta(ge=1, le=3600, description="Longest time that reading one file in the background may take.")
    ] = 60
    file_read_memory_bytes: Annotated[
        int, Meta(ge=64 * 1024**2, description="Memory that reading one file in the background may take.")
    ] = 1024**3
    file_text_characters: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Characters of a file's text that are kept and can be searched.")
    ] = 500_000
    file_patience_seconds: Annotated[
        float, Meta(ge=0, le=600, description="How long a request or an answer waits for a file to be read.")
    ] = 20.0

    # --- limits of the wire --------------------------------------------------------------------------------------

    connections_per_address: Annotated[
        int,
        Meta(
            ge=0,
            le=10**6,
            description="Connections that one address may have open, unless it is a trusted proxy's; 0 is any number.",
        ),
    ] = 1000
    page_bytes: Annotated[
        int,
        Meta(
            ge=1024, description="Bytes after which a page of what is stored ends; one row is given whatever its size."
        ),
    ] = 1024**2
    max_body_bytes: Annotated[int, Meta(ge=1024, description="Largest JSON body of a request.")] = 1_048_576
    send_deadline_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="How long a client may leave what is sent unread before it is cut off.")
    ] = 30.0
    shutdown_grace_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="How long running answers may finish after the order to stop.")
    ] = 30.0

    # --- what is seen of it --------------------------------------------------------------------------------------

    metrics_token: Annotated[
        str,
        Meta(
            pattern="^([!-~]{16,500})?$",
            examples=["`openssl rand -hex 32`"],
            description="Bearer token with which /metrics may be read; unset, who asks on the machine itself may.",
        ),
    ] = ""
    metrics_listen: Annotated[
        str,
        Meta(
            pattern=r"^(unix:/.+|.+:\d{1,5})?$",
            examples=["127.0.0.1:9464"],
            description="Address of its own for /metrics and health, where processes share the usual one; unset, none.",
        ),
    ] = ""
    ready_lag_seconds: Annotated[
        float,
        Meta(gt=0, le=3600, description="How late the loop may usually be before the process says it is not ready."),
    ] = 1.0

    # --- itself --------------------------------------------------------------------------------------------------

    disabled_plugins: Annotated[
        tuple[str, ...], Meta(description="Plugins that are not loaded, by name; see `trialogue plugins`.")
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least important kind of message that is logged."),
    ] = "info"
    log_requests: Annotated[
        bool, Meta(description="Whether each request is logged, in one line, once it is answered.")
    ] = True
    log_format: Annotated[
        Literal["auto", "text", "json"], Meta(description="Form of a log line; auto is text on a terminal, else JSON.")
    ] = "auto"

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{one.name}={one.show(self)}' for one in SETTINGS)})"


def _rows() -> Iterator[Setting]:
    types = get_type_hints(Config, include_extras=True)
    for field in msgspec.structs.fields(Config):
        (meta,) = (one for one in types[field.name].__metadata__ if isinstance(one, Meta))
        example = next(iter(meta.examples or [""]))
        yield Setting(field.name, types[field.name], field.default, meta.description or "", example)


#: The table, in the order in which it is shown.
SETTINGS = tuple(_rows())
