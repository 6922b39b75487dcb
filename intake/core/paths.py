"""Where templates, migrations and shipped configuration stand: in a checkout or inside a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

ROOT = _PACKAGE if (_PACKAGE / "templates").is_dir() else _PACKAGE.parent
"""A wheel carries `templates/` inside the package; a checkout has them beside it."""

TEMPLATES = ROOT / "templates"
MIGRATIONS = ROOT / "migrations"
CONFIG = ROOT / "config"
LOCALES = _PACKAGE / "locales"
STATIC = _PACKAGE / "static"

IN_CHECKOUT = ROOT != _PACKAGE


def default_data_dir() -> Path:
    """`var/` in the checkout, so that every command finds the same data; else `var/` where we stand."""
    return (ROOT if IN_CHECKOUT else Path.cwd()) / "var"
