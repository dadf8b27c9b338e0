"""A setting as others see it: its names everywhere, what it may be, and how its value is shown. ``config`` has them all."""

from __future__ import annotations

from typing import Any, Literal, cast, get_args, get_origin

import msgspec

from trialogue_server._settings.masking import HIDDEN, SECRET_NAME, mask


class Setting(msgspec.Struct, frozen=True):
    """One row of ``Config``, as others see it."""

    name: str
    type: Any  # A type expression, for msgspec; typing has no name for what that is.
    default: Any  # Of that type.
    doc: str
    #: A value that is right, for types that a pattern describes.
    example: str = ""

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"TRIALOGUE_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_list(self) -> bool:
        """Whether it takes several values; between commas where it is text."""
        return get_origin(self._plain) is tuple

    @property
    def is_table(self) -> bool:
        """Whether it takes values by name; where it is text, as ``name=value;name=value``."""
        return get_origin(self._plain) is dict

    @property
    def has_lists(self) -> bool:
        """Whether each of a table's values is a list."""
        return self.is_table and get_origin(get_args(self._plain)[1]) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        """Its possible values, when they can be counted."""
        return get_args(self._plain) if get_origin(self._plain) is Literal else ()

    @property
    def _plain(self) -> Any:  # A type expression, as above.
        return get_args(self.type)[0]

    def show(self, config: object) -> str:
        """Its value in ``config`` as TOML writes it, with any password in it masked."""
        value = getattr(config, self.name)
        return toml(HIDDEN if value and self.is_secret else value)

    @property
    def is_secret(self) -> bool:
        """Whether nobody is shown its value, as its name says."""
        return SECRET_NAME.search(self.name) is not None


def toml(value: object) -> str:
    """A setting's value in TOML, with any password in it masked."""
    if isinstance(value, dict):
        rows = cast("dict[str, object]", value).items()
        return f"{{{', '.join(f'{toml(name)} = {toml(one)}' for name, one in rows)}}}"
    plain = msgspec.to_builtins(value, enc_hook=str)
    return mask(msgspec.json.encode(plain).decode())  # For text, numbers and lists of them JSON is TOML.
