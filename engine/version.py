"""Which Dossier this is: backups say by which they were made."""

VERSION = "0.1.0"
