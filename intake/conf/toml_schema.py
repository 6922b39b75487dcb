"""Reading a configuration file: TOML in, typed and frozen objects out, every problem told at once.

A `Section` is one TOML table. The annotation of a field says how it is written: `Annotated[str, PHONE]`
is checked by the rule PHONE, another Section is a table inside the table, `tuple[..., ...]` is a list.
One marshmallow schema is made of all that. Problems name the key and how to write it, never the value.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, cast, get_args, get_origin, get_type_hints

from marshmallow import RAISE, Schema, ValidationError, post_load
from marshmallow import fields as keys

from intake.core.errors import SettingsError

SELF = "_schema"  # marshmallow's name for what concerns a table as a whole
UNKNOWN = "is not a key we know here. Check its spelling, or take it out."
TABLE = "must be a table of keys, not a single value."
LIST = "must be a list in square brackets."

S = TypeVar("S", bound="Section")


class Wrong(ValueError):
    """A value breaks a rule in a way that has its own sentence."""


class Rule(NamedTuple):
    """How one value is written. `parse` gives what we keep, or raises ValueError."""

    wanted: str
    parse: Callable[[Any], Any]


class Section:
    """One TOML table as a frozen object. `problems` tells what makes no sense within it."""

    def problems(self) -> Iterator[tuple[str, str]]:
        """(key, what to do); an empty key means the table as a whole."""
        return iter(())


def load(path: Path, section: type[S]) -> S:
    """The file as one `section`. Raises SettingsError with every wrong key of the file."""
    try:
        found: S = _schema_of(section)().load(_toml(path))
    except ValidationError as wrong:
        raise SettingsError([f"{path.name}: {line}" for line in _lines(wrong.messages)]) from None
    return found


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise SettingsError([f"{path.name}: is missing or cannot be read."]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{path.name}: must be saved as UTF-8."]) from None
    except tomllib.TOMLDecodeError as wrong:
        raise SettingsError([f"{path.name}: is not written as TOML: {wrong}."]) from None


def _lines(messages: Any, at: tuple[str, ...] = ()) -> Iterator[str]:
    """Marshmallow's nested messages as `key.of.table: sentence`, lists counted from 1."""
    if not isinstance(messages, Mapping):
        yield from (": ".join((".".join(at), sentence)).lstrip(": ") for sentence in messages)
        return
    for key, inner in messages.items():
        step = () if key == SELF else (str(key + 1) if isinstance(key, int) else str(key),)
        yield from _lines(_keyed(inner), at + step)


def _keyed(messages: Any) -> Any:
    """A table with free keys reports `key` and `value` apart; the reader sees one."""
    if isinstance(messages, Mapping) and messages and set(messages) <= {"key", "value"}:
        return {SELF: messages["key"]} if "key" in messages else messages["value"]
    return messages


class _Shaped(Schema):
    section: type[Section]

    class Meta:
        unknown = RAISE
        register = False

    @post_load
    def build(self, values: dict[str, Any], **_: Any) -> Section:
        """The frozen object, once every value alone is right."""
        made = self.section(**values)
        wrong: dict[Any, Any] = {}
        for key, sentence in made.problems():
            wrong.setdefault(key or SELF, []).append(sentence)
        if wrong:
            raise ValidationError(wrong)
        return made


def _schema_of(section: type[Section]) -> type[Schema]:
    """A schema with one field per field of the dataclass; all required that have no default."""
    hints = get_type_hints(section, include_extras=True)
    made: dict[str, Any] = {
        each.name: _field(hints[each.name], required=each.default is MISSING)
        for each in fields(cast("Any", section))
    }
    extra = {"section": section, "error_messages": {"unknown": UNKNOWN, "type": TABLE}}
    return type("Shape", (_Shaped,), made | extra)


def _field(hint: Any, *, required: bool = True) -> keys.Field[Any]:
    if get_origin(hint) is Annotated:
        return _Written(get_args(hint)[1], required=required)
    if get_origin(hint) is tuple:
        return _Many(_field(get_args(hint)[0]), required=required, error_messages=_said(LIST))
    if get_origin(hint) is Mapping:
        key, value = get_args(hint)
        return keys.Dict(_field(key), _field(value), required=required, error_messages=_said(TABLE))
    return keys.Nested(_schema_of(hint), required=required, error_messages=_said(TABLE))


def _said(wanted: str) -> dict[str, Any]:
    return {"required": f"is missing: it {wanted}", "null": wanted, "invalid": wanted, "type": wanted}


class _Written(keys.Field[Any]):
    """One value under a Rule."""

    def __init__(self, rule: Rule, *, required: bool) -> None:
        self.rule = rule
        super().__init__(required=required, error_messages=_said(rule.wanted))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> Any:
        try:
            return self.rule.parse(value)
        except Wrong as wrong:
            raise ValidationError(str(wrong)) from None
        except (ValueError, TypeError, AttributeError):
            raise ValidationError(self.rule.wanted) from None


class _Many(keys.List[Any]):
    """A list that is frozen once read."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return tuple(super()._deserialize(value, attr, data, **kwargs))
