"""The global options of a command line, and the settings that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from siteferry.settings import Settings


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """What stands before the command's name."""

    config: Path | None = None
    redis: str | None = None
    log_level: str | None = None
    log_format: str | None = None
    credential_backend: str | None = None

    def load(self, default_level: str = "warning") -> Settings:
        """Load the settings, and set up logging as they and the options say.

        Args:
            default_level: for a command at a terminal, which prints its own report, and for a
                process whose log is all that it says.

        Raises:
            ConfigurationError: a file or an option is not as it must be.
        """
        from siteferry.log import configure
        from siteferry.settings import load_settings, override_redis_url, select_store

        settings = load_settings(self.config)
        if self.redis is not None:
            settings = override_redis_url(settings, self.redis)
        if self.credential_backend is not None:
            settings = select_store(settings, self.credential_backend)
        level = self.log_level
        if level is None:
            configured = "level" in settings.log.model_fields_set
            level = settings.log.level if configured else default_level
        is_json = (self.log_format or settings.log.format) == "json"
        configure(level, "json" if is_json else "text")
        return settings
