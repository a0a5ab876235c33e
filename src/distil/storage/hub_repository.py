"""A repository on the hub: its files brought into huggingface_hub's cache, or found there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distil.errors import HubError, listed
from distil.storage import modules
from distil.storage.formats import CONFIG_FILE, FILE_KINDS, TOKENIZER_FILES, preferred
from distil.storage.hub_limits import count_answers, within_limits

_SECONDS_TO_ANSWER = 10.0
_LONGEST_NAME = 200
# What a hub may name files and folders of the cache by.
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ETAG = re.compile(r"[\w-]{1,128}", re.ASCII)
_WEIGHTS = (".safetensors", ".bin", ".h5")
_MOST_BYTES, _MOST_BYTES_OF_TEXT = 16 * 1024**3, 64 * 1024**2


class UnreachableError(Exception):
    """The hub did not answer, or not sensibly; the cache may still have the files."""


class Repository:
    """One revision of one repository on the hub.

    Args:
        name: Its name.
        missing: What to say first where it is not found: that there is no folder of that name.
        revision: Branch, tag or commit; None is its main branch.
        cache_dir: Of huggingface_hub; None is its own.
        token: As in `distil.storage.hub.HubOptions`.
    """

    def __init__(
        self,
        *,
        name: str,
        missing: str,
        revision: str | None,
        cache_dir: str | Path | None,
        token: str | bool | None,
    ) -> None:
        self._name = name
        self._missing = missing
        self._revision = revision
        self._cache_dir = cache_dir
        self._token = token
        self._asked_for = ""
        # Read at each call, where huggingface_hub reads it once when it is imported.
        self._endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None

    def download(self, files: Sequence[str] | None, variant: str | None) -> Path:
        """Bring the files into the cache and give the folder that they are in.

        Raises:
            HubError: The hub said no, or more than it may.
            UnreachableError: It said nothing, or nothing more.
        """
        try:
            return within_limits(
                lambda: self._download(files, variant), where=self._where(), check=self._check_file
            )
        except TimeoutError as error:
            raise UnreachableError from error

    def _download(self, files: Sequence[str] | None, variant: str | None) -> Path:
        from huggingface_hub import HfApi  # noqa: PLC0415

        count_answers()
        # Packed, an answer could be a thousand times as long.
        plain = {"Accept-Encoding": "identity"}
        api = HfApi(endpoint=self._endpoint, token=self._token, headers=plain)
        info = self._ask(
            lambda: api.model_info(
                self._name, revision=self._revision, timeout=_SECONDS_TO_ANSWER
            )
        )  # fmt: skip
        self._check("commit", _COMMIT, info.sha)
        there = {sibling.rfilename for sibling in info.siblings or ()}
        if files is None:
            small = (CONFIG_FILE, *TOKENIZER_FILES, *modules.FILES)
            wanted = [file for file in small if file in there]
            wanted += self._weight_files(there, variant, info.sha)
        else:
            wanted = [file for file in files if file in there]
        if not wanted:
            raise HubError(
                "repository has none of the files", expected=", ".join(files or ()),
                where=self._where(),
            )  # fmt: skip
        # By commit they cost no request once they are cached.
        paths = [self._fetch(file, info.sha) for file in wanted]
        # Asked for by the name of the revision, a file makes the cache remember its commit.  That
        # comes last: the commit must not be one whose files never arrived.
        self._fetch(wanted[0], self._revision)
        return paths[0].parent

    def cached(
        self, files: Sequence[str] | None, variant: str | None, unreachable: Exception | None
    ) -> Path:
        """The folder of the cache that holds this revision.

        Args:
            files: As in `snapshot`.
            variant: As in `snapshot`.
            unreachable: Why the hub was not asked instead, None if it was not to be.

        Raises:
            HubError: The cache does not have it.
        """
        from huggingface_hub import errors, try_to_load_from_cache  # noqa: PLC0415

        for file in (*(files or ()), CONFIG_FILE, *TOKENIZER_FILES):
            try:
                found = try_to_load_from_cache(
                    self._name, file, cache_dir=self._cache_dir, revision=self._revision
                )
            except errors.HFValidationError as error:
                raise self._not_a_name(error) from None
            except (OSError, ValueError) as error:  # a revision that no file can be called by
                raise HubError(
                    "the cache cannot be read", found=error, where=self._where()
                ) from None
            if isinstance(found, str):
                folder = Path(found).parent
                names = {path.name for path in folder.iterdir()}
                if files is not None or (
                    CONFIG_FILE in names and preferred(names, variant=variant)
                ):
                    return folder
        if unreachable is not None:
            raise HubError(
                f"{self._missing}, and the hub, which may have it, cannot be reached",
                found=f"{type(unreachable).__name__}: {str(unreachable)[:_LONGEST_NAME]}",
                where=self._where(),
                fix="check the name; for one on the hub, the connection, HF_ENDPOINT and proxies",
            )  # fmt: skip
        raise HubError(
            f"{self._missing}, the cache does not have this checkpoint, and the hub "
            "may not be asked",
            where=self._where(),
            fix="check the name; one on the hub has to be loaded once without local_files_only "
            "and HF_HUB_OFFLINE",
        )

    def _weight_files(self, there: set[str], variant: str | None, commit: str) -> list[str]:
        """The files that hold the weights, in the format preferred."""
        from distil.storage.index import shards_in  # noqa: PLC0415

        found = preferred(there, variant=variant)
        if found is None:
            raise HubError(
                "repository holds no weights that can be read",
                expected=", ".join(kind.file_name(variant) for kind in FILE_KINDS),
                found=listed(sorted(there), 10) or "no files", where=self._where(),
            )  # fmt: skip
        kind, file = found
        if file != kind.index_name(variant):
            return [file]
        shards = list(shards_in(self._fetch(file, commit)))
        if not there.issuperset(shards):
            raise HubError(
                "repository lacks shards that its index names",
                found=listed(sorted(set(shards) - there)), where=self._where(),
            )  # fmt: skip
        return [file, *shards]

    def _fetch(self, file: str, revision: str | None) -> Path:
        """Where `file` lies in the cache, downloaded if it was not there."""
        from huggingface_hub import hf_hub_download  # noqa: PLC0415

        self._asked_for = file
        return Path(
            self._ask(
                lambda: hf_hub_download(
                    self._name,
                    file,
                    revision=revision,
                    cache_dir=self._cache_dir,
                    token=self._token,
                    endpoint=self._endpoint,
                )
            )
        )

    def _check_file(self, answer: Any) -> None:
        """Judge what the hub says of a file, before the cache's files and folders are named by it.

        Asking beforehand would not do: a hostile server may answer another way the second time.
        """
        self._check("commit", _COMMIT, answer.commit_hash)
        self._check("ETag", _ETAG, answer.etag)
        most = _MOST_BYTES if self._asked_for.endswith(_WEIGHTS) else _MOST_BYTES_OF_TEXT
        if answer.size is None or not 0 <= answer.size <= most:
            raise HubError(
                f"{self._asked_for} is too large to be downloaded",
                expected=f"at most {most:,} bytes", found=answer.size, where=self._where(),
            )  # fmt: skip

    def _check(self, what: str, pattern: re.Pattern[str], found: Any) -> None:
        if not isinstance(found, str) or pattern.fullmatch(found) is None:
            raise HubError(
                f"the hub's answer is not valid: no {what} of a repository",
                expected=pattern.pattern, found=repr(found)[:_LONGEST_NAME], where=self._where(),
                fix="check HF_ENDPOINT; what answers there is not a hub to be trusted",
            )  # fmt: skip

    def _ask(self, request: Callable[[], Any]) -> Any:
        """The answer to `request`, with the hub's refusals in distil's words."""
        from huggingface_hub import errors  # noqa: PLC0415

        try:
            return request()
        except HubError:  # of `_check`
            raise
        except errors.HFValidationError as error:
            raise self._not_a_name(error) from None
        except errors.GatedRepoError:
            raise HubError(
                "repository is gated", where=self._where(),
                fix="accept its conditions on the hub, then pass token= or run `hf auth login`",
            ) from None  # fmt: skip
        except errors.RepositoryNotFoundError:
            raise HubError(
                f"{self._missing}, and the hub has no such repository, or it is private",
                where=self._where(),
                fix="check the name; for a private repository pass token= or run `hf auth login`",
            ) from None  # fmt: skip
        except errors.RevisionNotFoundError:
            raise HubError(
                "repository has no such revision", found=repr(self._revision),
                where=self._where(), fix="name a branch, a tag or a commit of it",
            ) from None  # fmt: skip
        except errors.HfHubHTTPError as error:
            status = getattr(error.response, "status_code", None)
            if status is not None and 400 <= status < 500:
                raise HubError(
                    "the hub refused the request", found=str(error)[:_LONGEST_NAME],
                    where=self._where(), fix="check the token",
                ) from None  # fmt: skip
            raise UnreachableError from error
        except Exception as error:
            # A connection fails with errors of huggingface_hub's HTTP library, requests or
            # httpx by its version; a full disk should not be taken for that.
            if isinstance(error, OSError) and error.errno is not None:
                raise HubError(
                    "download cannot be stored", found=error, where=self._where(),
                    fix="make room, or choose another cache_dir",
                ) from error  # fmt: skip
            raise UnreachableError from error

    def _not_a_name(self, error: Exception) -> HubError:
        return HubError(
            "name is neither a folder nor a name on the hub",
            expected="owner/model", found=repr(self._name[:_LONGEST_NAME]), where="name",
            fix=str(error)[:_LONGEST_NAME],
        )  # fmt: skip

    def _where(self) -> str:
        return self._name if self._revision is None else f"{self._name}@{self._revision}"
