"""Paths of templates, migrations and shipped configuration, in a checkout and in an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

ROOT = _PACKAGE if (_PACKAGE / "templates").is_dir() else _PACKAGE.parent
"""A wheel has `templates/` inside the package, a checkout beside it."""

TEMPLATES = ROOT / "templates"
MIGRATIONS = ROOT / "migrations"
CONFIG = ROOT / "config"
STATIC = _PACKAGE / "static"

IN_CHECKOUT = ROOT != _PACKAGE


def default_data_dir() -> Path:
    """`var/` in the checkout, whatever the working directory; of a wheel `var/` in the working directory."""
    return (ROOT if IN_CHECKOUT else Path.cwd()) / "var"
