"""Extracts every message id to intake/locales/intake.pot, and brings the catalogues beside it up to date.

    ./dev messages

What is extracted from which files stands in pyproject.toml, [tool.babel]. In a catalogue, header, order and
translations stay; a new message id is added at the end without a translation, one that is gone is taken out.
"""

import sys
from contextlib import chdir
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile

from babel.messages.catalog import Catalog, Message
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
LOCALES = ROOT / "intake" / "locales"
TEMPLATE = LOCALES / "intake.pot"
FOLDERS = ("intake", "templates")
KEYWORDS = ("translate", "setting:2")
"""Functions that take a message id, beside those that Babel knows by itself."""
HEADER = """\
# Every sentence the service shows, written by ./dev messages. A translation is <language>.po beside this.
msgid ""
msgstr ""
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def extracted() -> Catalog:
    """The message ids in the code and the templates, each with its files."""
    options = ["--mapping=pyproject.toml", "--add-location=file", *(f"--keyword={each}" for each in KEYWORDS)]
    with NamedTemporaryFile(suffix=".pot") as file, chdir(ROOT):
        CommandLineInterface().run(["pybabel", "-q", "extract", *options, f"--output={file.name}", *FOLDERS])
        return read_po(file)


def read(path: Path) -> Catalog:
    """The catalogue in `path`. Raises PoFileError where it is not written as one."""
    with path.open("rb") as file:
        return read_po(file, locale=None if path == TEMPLATE else path.stem, abort_invalid=True)


def update(catalogue: Catalog, template: Catalog) -> None:
    """Give `catalogue` the message ids of `template` and their files, and keep its order and translations."""
    for message in [each for each in catalogue if each.id and each.id not in template]:
        catalogue.delete(message.id)
    catalogue.obsolete.clear()
    for message in template:
        if not message.id:
            continue
        known = catalogue.get(message.id)
        if known and isinstance(known.id, tuple) == isinstance(message.id, tuple):
            known.locations = message.locations
        else:
            catalogue[message.id] = Message(message.id, locations=message.locations, flags=message.flags)


def write(catalogue: Catalog, path: Path, header: str) -> None:
    """Write `catalogue` under `header`, which Babel would fill with the names of nobody."""
    body = BytesIO()
    write_po(body, catalogue, width=0, omit_header=True, include_lineno=False)
    path.write_text(f"{header}{body.getvalue().decode().strip()}\n", encoding="utf-8")


def header_of(path: Path) -> str:
    """The first entry of a catalogue with the comments above it."""
    return path.read_text(encoding="utf-8").partition("\n\n")[0].strip() + "\n\n"


def untranslated(catalogue: Catalog) -> list[str]:
    """The message ids that have no translation, an incomplete one, or one that is marked as a guess."""
    forms = [(each, each.string if isinstance(each.string, tuple) else (each.string,)) for each in catalogue]
    return [str(each.id) for each, strings in forms if each.id and (each.fuzzy or not all(strings))]


def main() -> None:
    """Write the template and every catalogue; name what is missing, and end with 1 where something is."""
    template = extracted()
    write(template, TEMPLATE, HEADER)
    print(f"{TEMPLATE.relative_to(ROOT)}: {len(template)} message ids.")
    missing = 0
    for path in sorted(LOCALES.glob("*.po")):
        catalogue = read(path)
        update(catalogue, template)
        write(catalogue, path, header_of(path))
        without = untranslated(catalogue)
        missing += len(without)
        print(f"{path.relative_to(ROOT)}: {len(without)} to be translated.")
        for sentence in without:
            print(f"  {sentence}")
    sys.exit(bool(missing))


if __name__ == "__main__":
    main()
