"""`./dev translations`: bring the Chinese files of the add-ons up to date with the source terms.

New terms are added without a translation, and terms that are gone are removed. `./dev test` fails
while a term has no translation.
"""

from pathlib import Path

from . import databases, folders, odoo_command, postgres
from .commands import run
from .progress import Refusal, say

LANGUAGE = "zh_CN"
DATABASE = "energy_translations"


def _file(addon: str) -> Path:
    return folders.ADDONS / addon / "i18n" / f"{LANGUAGE}.po"


def _export(addon: str, database: str):
    """The source terms of an add-on that is installed in the database."""
    import polib

    target = folders.MADE / f"{addon}.po"
    run(
        odoo_command.command("i18n", "export", "-d", database, "-o", str(target), addon),
        env=odoo_command.environment(),
        why_failed=f"The terms of {addon} cannot be exported.",
    )
    return polib.pofile(str(target))


def _merged(addon: str, database: str):
    """The Chinese file with the terms as they are now, and those that lack a translation."""
    import polib

    path = _file(addon)
    translated = polib.pofile(str(path), wrapwidth=100) if path.is_file() else polib.POFile()
    before = {entry.msgid for entry in translated if not entry.obsolete}
    terms = _export(addon, database)
    translated.merge(terms)
    for entry in translated.obsolete_entries():
        translated.remove(entry)
    gone = before - {entry.msgid for entry in terms}
    return translated, translated.untranslated_entries() + translated.fuzzy_entries(), gone


def check(database: str) -> None:
    """:raise Refusal: when an installed add-on has a term without a translation."""
    problems = []
    for addon in folders.OUR_ADDONS:
        _content, untranslated, gone = _merged(addon, database)
        problems += [f"{addon}: no {LANGUAGE} for {entry.msgid!r}" for entry in untranslated]
        problems += [f"{addon}: {LANGUAGE} has {term!r}, which no source has" for term in gone]
    if problems:
        listed = "\n".join(f"    {problem}" for problem in problems[:40])
        raise Refusal(
            f"{len(problems)} terms are not translated or gone (`./dev translations` brings the"
            f" files up to date):\n{listed}"
        )


def main(arguments: list[str]) -> int:
    with postgres.running(), databases.with_our_addons(DATABASE, demo=True):
        for addon in folders.OUR_ADDONS:
            content, untranslated, gone = _merged(addon, DATABASE)
            content.metadata = {
                "Content-Type": "text/plain; charset=UTF-8",
                "Content-Transfer-Encoding": "8bit",
                "Language": LANGUAGE,
            }
            path = _file(addon)
            path.parent.mkdir(exist_ok=True)
            content.save(str(path))
            say(f"{addon}: {len(untranslated)} terms to translate, {len(gone)} removed")
    return 0
