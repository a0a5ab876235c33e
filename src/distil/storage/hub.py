"""From the name of a checkpoint to a folder that holds it.

The hub is spoken to through huggingface_hub, which is imported only for a name that is neither
a folder nor a bundled checkpoint.  What looks like a path never leaves the machine.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path, PureWindowsPath
from threading import Lock
from typing import Any

from distil.errors import CheckpointNotFoundError, CheckpointWarning, HubError
from distil.storage import modules

CONFIG_FILE = "config.json"
TOKENIZER_FILES = (
    "vocab.txt", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip

# The bundled checkpoint for those who name none.
DEFAULT = "sst2-small"

_SECONDS_TO_ANSWER = 10.0
_LONGEST_NAME = 200
# What a hub may name files and folders of the cache by.
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ETAG = re.compile(r"[\w-]{1,128}", re.ASCII)
_WEIGHTS = (".safetensors", ".bin", ".h5")
_MOST_BYTES, _MOST_BYTES_OF_TEXT = 16 * 1024**3, 64 * 1024**2
_JUDGING = Lock()

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class HubOptions:
    """How to ask the hub.

    Attributes:
        revision: Branch, tag or commit of the repository; None is its main branch.
        cache_dir: Where downloads are kept; None is huggingface_hub's own cache.
        local_files_only: Ask nobody, use the cache. The environment variable HF_HUB_OFFLINE
            says the same for all calls.
        token: Access token for private and gated repositories; None takes the stored one,
            False sends none.
    """

    revision: str | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    token: str | bool | None = field(default=None, repr=False)


def bundled() -> dict[str, Path]:
    """The checkpoints that come with the package: their folders by name."""
    root = Path(__file__).parents[1] / "bundled"
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{CONFIG_FILE}"))}


def can_be_name(text: str) -> bool:
    """Whether a text could be the name of a checkpoint: a folder, a path, or a name on the hub.

    Sentences cannot, unless there is a folder of that name; a single word can.
    """
    if text.startswith(("/", "./", "../", "~", ".\\", "..\\")) or PureWindowsPath(text).drive:
        return True
    try:
        return _HUB_NAME.fullmatch(text) is not None or (text != "" and Path(text).is_dir())
    except (OSError, ValueError):  # too long for a path, or with a zero byte in it
        return False


def split_options(options: Mapping[str, Any]) -> tuple[HubOptions, dict[str, Any]]:
    """Those of `options` that are for the hub, and the rest."""
    rest = dict(options)
    own = {item.name: rest.pop(item.name) for item in fields(HubOptions) if item.name in rest}
    return HubOptions(**own), rest


def snapshot(
    name: str | Path,
    options: HubOptions = HubOptions(),
    *,
    files: Sequence[str] | None = None,
    variant: str | None = None,
) -> Path:
    """A folder that holds the checkpoint called `name`, downloaded if need be.

    Of a repository on the hub, config.json, the files of the tokenizer and of
    sentence-transformers, and the weights in one format are downloaded: the one that
    `open_checkpoint` prefers of those that are there.
    If the hub cannot be reached, what the cache has is used.

    Args:
        name: A folder, the name of a bundled checkpoint, or of a repository on the hub, as
            "distilbert/distilbert-base-uncased".
        options: For the hub.
        files: Names of files to download instead; those that the repository lacks are not
            there afterwards either.
        variant: Of the weights' files, as in `open_checkpoint`.

    Returns:
        The folder; of an old one of sentence-transformers, that of the encoder in it.

    Raises:
        CheckpointNotFoundError: `name` looks like a path, and no folder is there.
        CheckpointError: The folder's modules.json, which says where the encoder is, is damaged.
        HubError: The hub has no such repository or revision, wants a token, or cannot be
            reached while the cache lacks the files.
    """
    path = Path(name)
    try:
        if name != "" and path.is_dir():
            _check_shadow(name, path)
            return modules.encoder_folder(path)
        is_path = isinstance(name, Path) or path.is_file() or _looks_like_path(name)
    except (OSError, ValueError):  # too long for a path, or with a zero byte in it
        is_path = True
    if is_path:
        raise CheckpointNotFoundError(
            "no such folder", expected="a folder with config.json and weights, or a hub name",
            found=repr(str(name)[:_LONGEST_NAME]), where="name",
            fix=f"check the path; it is relative to {Path.cwd()}",
        )  # fmt: skip
    name = str(name)
    own = bundled().get(name)
    if own is not None:
        return own
    repository = _Repository(name, options)
    if not options.local_files_only and not _is_offline():
        try:
            return repository.download(files, variant)
        except _UnreachableError as error:
            unreachable: Exception | None = error.__cause__  # type: ignore[assignment]
    else:
        unreachable = None
    return repository.cached(files, variant, unreachable)


class _UnreachableError(Exception):
    """The hub did not answer, or not sensibly; the cache may still have the files."""


class _Repository:
    """One revision of one repository on the hub."""

    def __init__(self, name: str, options: HubOptions) -> None:
        self._name = name
        self._revision = options.revision
        self._cache_dir = options.cache_dir
        self._token = options.token
        # Read at each call, where huggingface_hub reads it once when it is imported.
        self._endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None

    def download(self, files: Sequence[str] | None, variant: str | None) -> Path:
        """Bring the files into the cache and give the folder that they are in.

        Raises:
            HubError: The hub said no.
            _UnreachableError: It said nothing.
        """
        from huggingface_hub import HfApi  # noqa: PLC0415

        api = HfApi(endpoint=self._endpoint, token=self._token)
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
        # The first is asked for by the name of the revision, which makes the cache remember
        # what commit that name stands for; the others cost no request once they are cached.
        folder = self._fetch(wanted[0], self._revision).parent
        for file in wanted[1:]:
            self._fetch(file, info.sha)
        return folder

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
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415

        from distil.storage.formats import preferred  # noqa: PLC0415

        for file in (*(files or ()), CONFIG_FILE, *TOKENIZER_FILES):
            found = try_to_load_from_cache(
                self._name, file, cache_dir=self._cache_dir, revision=self._revision
            )
            if isinstance(found, str):
                folder = Path(found).parent
                names = {path.name for path in folder.iterdir()}
                if files is not None or (
                    CONFIG_FILE in names and preferred(names, variant=variant)
                ):
                    return folder
        if unreachable is not None:
            raise HubError(
                f"{_no_folder(self._name)}, and the hub, which may have it, cannot be reached",
                found=f"{type(unreachable).__name__}: {str(unreachable)[:_LONGEST_NAME]}",
                where=self._where(),
                fix="check the name; for one on the hub, the connection, HF_ENDPOINT and proxies",
            )  # fmt: skip
        raise HubError(
            f"{_no_folder(self._name)}, the cache does not have this checkpoint, and the hub "
            "may not be asked",
            where=self._where(),
            fix="check the name; one on the hub has to be loaded once without local_files_only "
            "and HF_HUB_OFFLINE",
        )

    def _weight_files(self, there: set[str], variant: str | None, commit: str) -> list[str]:
        """The files that hold the weights, in the format preferred."""
        from distil.storage.formats import FILE_KINDS, preferred  # noqa: PLC0415
        from distil.storage.index import shards_in  # noqa: PLC0415

        found = preferred(there, variant=variant)
        if found is None:
            raise HubError(
                "repository holds no weights that can be read",
                expected=", ".join(kind.file_name(variant) for kind in FILE_KINDS),
                found=", ".join(sorted(there)[:10]) or "no files", where=self._where(),
            )  # fmt: skip
        kind, file = found
        if file != kind.index_name(variant):
            return [file]
        shards = list(shards_in(self._fetch(file, commit)))
        if not there.issuperset(shards):
            raise HubError(
                "repository lacks shards that its index names",
                found=", ".join(sorted(set(shards) - there)[:5]), where=self._where(),
            )  # fmt: skip
        return [file, *shards]

    def _fetch(self, file: str, revision: str | None) -> Path:
        """Where `file` lies in the cache, downloaded if it was not there."""
        from huggingface_hub import hf_hub_download  # noqa: PLC0415

        def check(answer: Any) -> None:
            """Before the cache's files and folders are named by it."""
            self._check("commit", _COMMIT, answer.commit_hash)
            self._check("ETag", _ETAG, answer.etag)
            most = _MOST_BYTES if file.endswith(_WEIGHTS) else _MOST_BYTES_OF_TEXT
            if answer.size is None or not 0 <= answer.size <= most:
                raise HubError(
                    f"{file} is too large to be downloaded", expected=f"at most {most:,} bytes",
                    found=answer.size, where=self._where(),
                )  # fmt: skip

        with _judged(check):
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
            raise HubError(
                "name is neither a folder nor a name on the hub",
                expected="owner/model", found=repr(self._name[:_LONGEST_NAME]), where="name",
                fix=str(error)[:_LONGEST_NAME],
            ) from None  # fmt: skip
        except errors.GatedRepoError:
            raise HubError(
                "repository is gated", where=self._where(),
                fix="accept its conditions on the hub, then pass token= or run `hf auth login`",
            ) from None  # fmt: skip
        except errors.RepositoryNotFoundError:
            raise HubError(
                f"{_no_folder(self._name)}, and the hub has no such repository, or it is private",
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
            raise _UnreachableError from error
        except Exception as error:
            # A connection fails with errors of huggingface_hub's HTTP library, requests or
            # httpx by its version; a full disk should not be taken for that.
            if isinstance(error, OSError) and error.errno is not None:
                raise HubError(
                    "download cannot be stored", found=error, where=self._where(),
                    fix="make room, or choose another cache_dir",
                ) from error  # fmt: skip
            raise _UnreachableError from error

    def _where(self) -> str:
        return self._name if self._revision is None else f"{self._name}@{self._revision}"


@contextmanager
def _judged(check: Callable[[Any], None]) -> Iterator[None]:
    """Let `check` see what the hub says of each file that is asked for.

    huggingface_hub has no hook for it, and asking beforehand would not do: a hostile server may
    answer another way the second time.
    """
    from huggingface_hub import file_download  # noqa: PLC0415

    def judged(*arguments: Any, **options: Any) -> Any:
        answer = original(*arguments, **options)
        check(answer)
        return answer

    with _JUDGING:
        original = file_download.get_hf_file_metadata
        file_download.get_hf_file_metadata = judged
        try:
            yield
        finally:
            file_download.get_hf_file_metadata = original


def _check_shadow(name: str | Path, folder: Path) -> None:
    """Say so where a folder stands in the way of a bundled checkpoint of the same name."""
    own = bundled().get(name) if isinstance(name, str) else None
    if own is not None and not own.samefile(folder):
        warnings.warn(
            f"{name!r} is a folder in {Path.cwd()} and a bundled checkpoint: the folder is used.  "
            f"Write './{name}' if it is meant, or call from elsewhere",
            CheckpointWarning,
            stacklevel=3,
        )


def _no_folder(name: str) -> str:
    """That there is no such folder, and which is called nearly so."""
    try:
        folders = [path.name for path in Path(name).parent.iterdir() if path.is_dir()]
    except OSError:
        folders = []
    near = get_close_matches(Path(name).name, [*folders, *bundled()], n=1)
    hint = f" (did you mean {str(Path(name).parent / near[0])!r}?)" if near else ""
    return f"there is no folder {name[:_LONGEST_NAME]!r}{hint}"


def _looks_like_path(name: str) -> bool:
    """Whether `name` can only be meant as a path."""
    return (
        not name
        or name.startswith((".", "/", "~"))
        or name.endswith("/")
        or name.count("/") > 1
        or "\\" in name
        or ".." in name.split("/")
        or PureWindowsPath(name).drive != ""
    )


def _is_offline() -> bool:
    """Whether the environment forbids to ask the hub; read at each call."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")
