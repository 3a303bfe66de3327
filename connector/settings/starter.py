"""A configuration to start from."""

import shutil
from pathlib import Path

from connector.errors import ConfigurationError
from connector.settings.loader import default_folder


def write_starter(target: Path) -> None:
    """Copy the commented sample configuration into an empty or new folder.

    Raises:
        ConfigurationError: the target holds something already, or cannot be written.
    """
    source = default_folder()
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ConfigurationError(f"{target} is not an empty folder: name a new one")
        shutil.copytree(source, target, dirs_exist_ok=True)
    except OSError as err:
        raise ConfigurationError(f"{target} cannot be written: name a folder you may write to") from err
