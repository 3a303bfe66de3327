"""config/ files -> frozen Settings, or every complaint at once with file:line."""

from connector.model.canonical import canonical, digest
from connector.settings.complaints import Complaint, Severity
from connector.settings.document import build
from connector.settings.installed import Installation
from connector.settings.loader import Loaded, default_folder, load
from connector.settings.secrets import read_secret
from connector.settings.starter import write_starter
from connector.settings.values import Settings

__all__ = [
    "Complaint",
    "Installation",
    "Loaded",
    "Settings",
    "Severity",
    "build",
    "canonical",
    "default_folder",
    "digest",
    "load",
    "read_secret",
    "write_starter",
]
