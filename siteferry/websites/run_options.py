"""What one run is asked for beyond its website's file: the command's options, as the ledger keeps
them with the run, so that every worker sees the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from pydantic import TypeAdapter

from siteferry.websites.ad_hoc import AdHocWebsite
from siteferry.websites.models import Delete, Website
from siteferry.websites.values import DeleteLimit

CompareMode = Literal["auto", "manifest", "listing", "mtime", "checksum"]
DeleteMode = Literal["none", "published", "all"]
OnFailure = Literal["hold", "publish"]

COMPARE_MODES: tuple[str, ...] = get_args(CompareMode)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """None, False and empty mean: as the website's file says.

    only: gitignore patterns; what none of them names is neither sent nor deleted.
    max_delete: as in `delete.max`, such as `25` or `10%`.
    purge: everything is sent anew, and the rest deleted at publish. purge_first: the remote
        directory is emptied before anything is sent.
    adopt: what stands on the server with the right size counts as published.
    dry_run: the run ends when everything has been compared; nothing is written on the server.
    hashed: the dry run tells the SHA-256 of what would be sent.
    expected: digest of the plan that the run has to carry out exactly.
    ad_hoc: the website itself, where it has no file.
    """

    compare: CompareMode | None = None
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    delete: DeleteMode | None = None
    max_delete: str | None = None
    purge: bool = False
    purge_first: bool = False
    adopt: bool = False
    on_failure: OnFailure | None = None
    connections: int | None = None
    bandwidth: int | None = None
    dry_run: bool = False
    hashed: bool = False
    expected: str | None = None
    ad_hoc: AdHocWebsite | None = None

    def facts(self) -> dict[str, Any]:
        """What differs from the defaults, for JSON."""
        plain = RunOptions()
        return {
            name: value for name, value in asdict(self).items() if value != getattr(plain, name)
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> RunOptions:
        """Read back what `facts` gave; words of another version of siteferry are an error.

        Raises:
            ValueError: a word that this version does not know.
        """
        if unknown := facts.keys() - {field.name for field in fields(cls)}:
            raise ValueError(f"options that this version does not know: {', '.join(unknown)}")
        return _ADAPTER.validate_python(facts)

    def applied(self, website: Website) -> Website:
        """`website` as this run sees it."""
        changes: dict[str, Any] = {}
        if self.compare:
            changes["compare"] = self.compare
        if self.exclude:
            changes["exclude"] = (*website.exclude, *self.exclude)
        if self.on_failure:
            changes["on_failure"] = self.on_failure
        if self.bandwidth:
            changes["bandwidth"] = self.bandwidth
        if self.connections:
            changes["ftp"] = website.ftp.model_copy(update={"max_connections": self.connections})
        if self.delete or self.max_delete:
            limit = DeleteLimit.parse(self.max_delete) if self.max_delete else None
            changes["delete"] = Delete(
                mode=self.delete or website.delete.mode, max=limit or website.delete.max
            )
        return website.model_copy(update=changes) if changes else website


_ADAPTER = TypeAdapter(RunOptions)
