"""Stamps: a step that is done leaves the hash of what went into it, and is skipped next time."""

import hashlib
from pathlib import Path

from .folders import STAMPS


def digest(*parts: object) -> str:
    """The hash of the parts; a path stands for the content of its file."""
    total = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else repr(part).encode()
        total.update(len(content).to_bytes(8, "big") + content)
    return total.hexdigest()


def is_done(name: str, key: str) -> bool:
    stamp = STAMPS / name
    return stamp.is_file() and stamp.read_text() == key


def mark_done(name: str, key: str) -> None:
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / name).write_text(key)
