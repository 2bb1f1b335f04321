"""Planted defects that reach every process: a copy of the add-ons with one line changed."""

import shutil
from pathlib import Path

from tools import folders, odoo_command

NOT_NEEDED = shutil.ignore_patterns("__pycache__", "static", "tests", "i18n")


def planted(folder: Path, file: str, line: str, instead: str) -> Path:
    """Return the configuration of an Odoo whose add-ons have a defect.

    :param folder: where the copy is made
    :param file: of which add-on: prepaid_energy/models/…
    :param line: the piece replaced; stands in the file exactly once
    :raise LookupError: where the piece is not there, or more than once
    """
    addons = folder / "addons"
    shutil.copytree(folders.ADDONS, addons, ignore=NOT_NEEDED)
    source = (addons / file).read_text()
    if source.count(line) != 1:
        raise LookupError(f"{line!r} stands {source.count(line)} times in {file}.")
    (addons / file).write_text(source.replace(line, instead))
    config = folder / "planted.conf"
    config.write_text(
        odoo_command.write_config().read_text().replace(str(folders.ADDONS), str(addons))
    )
    return config
