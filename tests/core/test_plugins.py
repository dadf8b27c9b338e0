"""Loading plugins: what they declare comes out, and a bad one degrades alone, with the reason in words."""

from __future__ import annotations

import logging
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import pytest

from trialogue import (
    Authenticator,
    ConfigurationError,
    Model,
    PluginInfo,
    Plugins,
    Provider,
    Request,
    ResponseStream,
    Store,
    hookimpl,
    load_plugins,
)


class Quiet(Provider):
    """A provider that is only there."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def models(self) -> Sequence[Model]:
        return ()

    def open_response(self, request: Request) -> AbstractAsyncContextManager[ResponseStream]:
        raise NotImplementedError


class Offers:
    """A plugin that offers providers of the given names."""

    def __init__(self, *names: str) -> None:
        self.names = names

    @hookimpl
    def trialogue_providers(self, environment: Mapping[str, str]) -> Sequence[Provider]:
        return [Quiet(name) for name in self.names]


class Fails:
    """A plugin whose every hook fails as told."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    @hookimpl
    def trialogue_providers(self, environment: Mapping[str, str]) -> Sequence[Provider]:
        raise self.error

    @hookimpl
    def trialogue_store(self, url: str, data_dir: Path) -> AbstractAsyncContextManager[Store] | None:
        raise self.error

    @hookimpl
    def trialogue_authenticators(self, store: Store) -> Sequence[Authenticator]:
        raise self.error


class Stores:
    """A plugin that opens ``memory:``, as something that can be told apart."""

    opened: AbstractAsyncContextManager[Store] = nullcontext()  # type: ignore[assignment]  # never entered

    @hookimpl
    def trialogue_store(self, url: str) -> AbstractAsyncContextManager[Store] | None:
        return self.opened if url.startswith("memory:") else None


def load(*plugins: object) -> Plugins:
    return load_plugins(*plugins, installed=False)


def names(plugins: Plugins) -> list[str]:
    return [provider.name for provider in plugins.providers({})]


def test_objects_are_asked_in_order() -> None:
    plugins = load(Offers("a", "b"), Offers("c"))
    assert names(plugins) == ["a", "b", "c"]
    assert list(plugins.loaded) == ["Offers", "Offers-2"]
    adds: dict[str, tuple[str, ...]] = {"trialogue_providers": ("a", "b")}
    assert plugins.loaded["Offers"] == PluginInfo("Offers", ("trialogue_providers",), adds=adds)
    assert not plugins.set_aside


def test_try_first_is_asked_first() -> None:
    class Eager:
        @hookimpl(tryfirst=True)
        def trialogue_providers(self) -> Sequence[Provider]:
            return [Quiet("eager")]

    assert names(load(Offers("a"), Eager(), Offers("b"))) == ["eager", "a", "b"]


def test_providers_see_the_environment() -> None:
    class Reads:
        @hookimpl
        def trialogue_providers(self, environment: Mapping[str, str]) -> Sequence[Provider]:
            return [Quiet(environment["NAME"])]

    assert [provider.name for provider in load(Reads()).providers({"NAME": "from-it"})] == ["from-it"]


def test_failing_hook_sets_its_plugin_aside_alone(caplog: pytest.LogCaptureFixture) -> None:
    plugins = load(Offers("a"), Fails(ZeroDivisionError("by zero")), Offers("b"))
    assert names(plugins) == ["a", "b"]
    assert plugins.set_aside == {"Fails": "ZeroDivisionError: by zero"}
    assert "Fails" not in plugins.loaded
    assert "Fails" in repr(plugins)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info is not None, "the plugin's author needs the traceback"


def test_a_hook_that_exits_does_not_take_the_process_along() -> None:
    plugins = load(Fails(SystemExit(3)), Offers("a"))
    assert names(plugins) == ["a"]
    assert plugins.set_aside == {"Fails": "SystemExit: 3"}


def test_a_plugin_set_aside_is_not_asked_again() -> None:
    plugins = load(Fails(ValueError("once")))
    names(plugins)
    plugins.set_aside.clear()
    assert names(plugins) == []
    assert plugins.authenticators(None) == []  # type: ignore[arg-type]  # the store is only handed on
    assert plugins.set_aside == {}


def test_a_missing_sdk_is_named_when_a_hook_finds_out() -> None:
    plugins = load(Fails(ModuleNotFoundError("No module named 'acme_sdk'", name="acme_sdk.client")))
    names(plugins)
    assert plugins.set_aside["Fails"] == "needs `acme_sdk`: pip install acme-sdk"


def test_a_missing_library_is_told_as_it_is() -> None:
    plugins = load(Fails(ImportError("libgomp.so.1: cannot open shared object file")))
    names(plugins)
    assert plugins.set_aside["Fails"] == "cannot be imported: libgomp.so.1: cannot open shared object file"


def test_a_reason_given_in_words_is_kept() -> None:
    plugins = load(Fails(ConfigurationError("ACME_URL='x' is no URL")))
    names(plugins)
    assert plugins.set_aside["Fails"] == "ACME_URL='x' is no URL"


@pytest.mark.parametrize("answer", [3, ["no provider"], [None]])
def test_what_is_no_provider_is_refused(answer: object) -> None:
    class Wrong:
        @hookimpl
        def trialogue_providers(self) -> object:
            return answer

    plugins = load(Wrong(), Offers("a"))
    assert names(plugins) == ["a"]
    assert plugins.set_aside["Wrong"].startswith("TypeError: ")


def test_a_hook_may_have_nothing_to_offer() -> None:
    class Nothing:
        @hookimpl
        def trialogue_providers(self) -> None:
            return None

    plugins = load(Nothing(), Offers())
    assert names(plugins) == []
    assert list(plugins.loaded) == ["Nothing", "Offers"]


@pytest.mark.parametrize("second", [("b", "a"), ("b", "b"), ("Upper",), ("",), ("a:b",)])
def test_a_provider_name_must_be_free_and_fit_a_model_id(second: tuple[str, ...]) -> None:
    plugins = load(Offers("a"), Offers(*second))
    assert names(plugins) == ["a"]
    assert list(plugins.set_aside) == ["Offers-2"]


def test_unknown_hook_sets_its_plugin_aside() -> None:
    class Ahead(Offers):
        @hookimpl
        def trialogue_teleport(self) -> None: ...

    plugins = load(Ahead("x"), Offers("a"))
    assert plugins.set_aside == {"Ahead": "implements trialogue_teleport, which this version does not have"}
    assert names(plugins) == ["a"]


def test_optional_unknown_hook_is_allowed() -> None:
    class Ahead(Offers):
        @hookimpl(optionalhook=True)
        def trialogue_teleport(self) -> None: ...

    assert names(load(Ahead("x"))) == ["x"]


def test_wrong_arguments_set_a_plugin_aside() -> None:
    class Confused:
        @hookimpl
        def trialogue_providers(self, weather: str) -> None: ...

    plugins = load(Confused(), Offers("a"))
    assert names(plugins) == ["a"]
    assert "weather" in plugins.set_aside["Confused"]


# --- stores ------------------------------------------------------------------------------------------------------


def test_the_plugin_that_knows_the_scheme_opens_the_store(tmp_path: Path) -> None:
    assert load(Stores()).open_store("memory:", tmp_path) is Stores.opened


def test_unknown_scheme_is_the_operators_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="storage_url 'flatfile:'") as caught:
        load(Stores()).open_store("flatfile://user:hunter2@host", tmp_path)
    assert "hunter2" not in str(caught.value)


def test_what_was_set_aside_is_told_when_it_would_have_helped(tmp_path: Path) -> None:
    plugins = load(Fails(ModuleNotFoundError(name="psycopg")))
    with pytest.raises(ConfigurationError, match="Fails: needs `psycopg`"):
        plugins.open_store("postgresql://", tmp_path)


def test_one_stores_failure_leaves_the_others(tmp_path: Path) -> None:
    assert load(Fails(OSError("disk")), Stores()).open_store("memory:", tmp_path) is Stores.opened


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    class Wrong:
        @hookimpl
        def trialogue_store(self) -> object:
            return "open"

    with pytest.raises(ConfigurationError, match="Wrong: TypeError"):
        load(Wrong()).open_store("memory:", tmp_path)


def test_a_wrong_url_is_told_as_its_plugin_says(tmp_path: Path) -> None:
    plugins = load(Fails(ConfigurationError("no database is named")), Stores())
    with pytest.raises(ConfigurationError, match="no database is named"):
        plugins.open_store("memory:", tmp_path)
    assert not plugins.set_aside


# --- what is known of them ---------------------------------------------------------------------------------------


def test_what_each_has_added_is_known_once_it_was_asked() -> None:
    plugins = load(Offers("a", "b"), Offers("c"))
    assert plugins.loaded["Offers"].adds == {}
    names(plugins)
    assert plugins.loaded["Offers"].adds == {"trialogue_providers": ("a", "b")}
    assert plugins.loaded["Offers-2"].adds == {"trialogue_providers": ("c",)}


def test_one_that_blocks_is_told_of_and_used(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    times = iter([0.0, 0.5, 10.0, 13.2])  # What the clock says before and after each is asked.
    monkeypatch.setattr("trialogue._plugins.shelf.time.perf_counter", lambda: next(times))
    plugins = load(Offers("quick"), Offers("slow"))
    assert names(plugins) == ["quick", "slow"]
    assert plugins.slow == {"Offers-2": "trialogue_providers took 3.2 s, and everything waited for it"}
    assert "plugin Offers-2 is slow" in caplog.text


@pytest.mark.parametrize("hook", ["redirect_logins", "header_logins", "tools", "embedders"])
@pytest.mark.parametrize("answer", [3, "text", [object()], {"a": 1}, OSError("no disk"), SystemExit(1)])
def test_junk_from_any_hook_harms_nobody_else(hook: str, answer: object) -> None:
    def wrong(environment: Mapping[str, str]) -> object:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    module = types.ModuleType("wrong")
    wrong.__name__ = f"trialogue_{hook}"
    setattr(module, f"trialogue_{hook}", hookimpl(wrong))
    plugins = load(module, Offers("a"))
    assert getattr(plugins, hook)({}) == []
    assert list(plugins.set_aside) == ["wrong"]
    assert names(plugins) == ["a"]


def test_a_name_that_cannot_be_read_harms_nobody_else() -> None:
    class Moody(Quiet):
        @property
        def name(self) -> str:
            raise OSError("not today")

        @name.setter
        def name(self, value: str) -> None: ...

    class Offering:
        @hookimpl
        def trialogue_providers(self) -> Sequence[Provider]:
            return [Moody("")]

    plugins = load(Offering(), Offers("a"))
    assert names(plugins) == ["a"]
    assert plugins.set_aside == {"Offering": "OSError: not today"}


# --- installed ones ----------------------------------------------------------------------------------------------

Install = Callable[..., None]

PLUGIN = """
from trialogue import hookimpl
@hookimpl
def trialogue_providers(environment):
    return []
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution with one entry point on the path, as an installer would."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(module: str, source: str, *, entry: str = "", requires: str = "") -> None:
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n{requires}")
        (info / "entry_points.txt").write_text(f"[trialogue]\n{entry or module} = {module}\n")

    return install


def test_an_installed_plugin_is_loaded(install: Install) -> None:
    install("acme_plain", PLUGIN)
    expected = PluginInfo("acme_plain", ("trialogue_providers",), "acme_plain 1.0")
    assert load_plugins().loaded["acme_plain"] == expected


def test_a_missing_extra_is_named_with_the_command(install: Install) -> None:
    requires = 'Requires-Dist: msgspec\nRequires-Dist: acme-sdk[fast]>=2; python_version >= "3" and extra == "cloud"\n'
    install("acme_cloud", "import acme_sdk.client\n", requires=requires)
    plugins = load_plugins()
    assert plugins.set_aside["acme_cloud"] == "needs `acme_sdk`: pip install 'acme_cloud[cloud]'"


@pytest.mark.parametrize("source", ["raise ZeroDivisionError", "import sys; sys.exit(3)", "def broken(:"])
def test_a_plugin_that_cannot_be_imported_harms_no_other(install: Install, source: str) -> None:
    install("acme_broken", source)
    install("acme_fine", PLUGIN)
    plugins = load_plugins()
    assert "acme_broken" in plugins.set_aside
    assert "acme_fine" in plugins.loaded


def test_a_name_that_is_taken_stays_with_the_first(install: Install) -> None:
    install("acme_one", PLUGIN, entry="acme")
    install("acme_two", PLUGIN, entry="acme")
    plugins = load_plugins()
    assert plugins.loaded["acme"].distribution == "acme_one 1.0"
    assert plugins.set_aside["acme of acme_two"] == "another plugin is called 'acme'"


def test_a_disabled_plugin_is_not_even_imported(install: Install) -> None:
    install("acme_unwanted", "raise AssertionError")
    plugins = load_plugins(disabled=["acme_unwanted"])
    assert plugins.set_aside["acme_unwanted"] == "disabled by the configuration"


def test_every_built_in_plugin_is_loaded_or_says_why() -> None:
    plugins = load_plugins()
    assert {"echo", "openai", "local", "sqlite", "password"} <= {*plugins.loaded, *plugins.set_aside}
