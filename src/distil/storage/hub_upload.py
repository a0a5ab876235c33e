"""Files on their way to the hub, as one commit; huggingface_hub speaks to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distil.errors import HubError

_LONGEST_MESSAGE = 500
_LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """What the hub has now.

    Attributes:
        name: Of the repository, with its owner.
        url: Where it is shown.
        commit: That holds the files.
    """

    name: str
    url: str
    commit: str


def check_repository(name: str) -> None:
    """Refuse what no repository can be called.

    Raises:
        HubError: None can.
    """
    from huggingface_hub import errors  # noqa: PLC0415 - slow
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # noqa: PLC0415
        validate_repo_id,
    )

    try:
        validate_repo_id(name)
    except errors.HFValidationError as error:
        raise HubError(
            "not a name on the hub", expected="owner/model", found=repr(name)[:_LONGEST_NAME],
            where="name", fix=str(error)[:_LONGEST_MESSAGE],
        ) from None  # fmt: skip


def upload(
    name: str,
    files: Mapping[str, Path | bytes],
    *,
    public: bool,
    revision: str | None,
    message: str,
    token: str | None,
) -> Uploaded:
    """Commit files to a repository of the hub, which is made if it is not there.

    Args:
        name: Of the repository: "owner/model", or "model" for one's own.
        files: By their names there.
        public: Whether everybody may see a repository that is made.
        revision: The branch; None is the main one.
        message: Of the commit.
        token: With the right to write; None takes the one of HF_TOKEN or of `hf auth login`.

    Raises:
        HubError: The hub refuses it, or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, errors  # noqa: PLC0415 - slow

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT", "").rstrip("/") or None, token=token)
    operations: list[Any] = [
        CommitOperationAdd(path_in_repo=path, path_or_fileobj=source)
        for path, source in files.items()
    ]
    try:
        made = api.create_repo(name, private=not public, exist_ok=True)
        if revision is not None:
            api.create_branch(made.repo_id, branch=revision, exist_ok=True)
        commit = api.create_commit(
            made.repo_id, operations, commit_message=message, revision=revision
        )
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        raise HubError(
            "the hub rejected the upload", found=str(error)[:_LONGEST_MESSAGE], where=name,
            fix="run `hf auth login`, or set HF_TOKEN to a token that may write there"
            if status in (401, 403, 404)
            else None,
        ) from None  # fmt: skip
    except ValueError as error:  # the metadata of a card, say
        raise HubError(
            "the hub rejected the upload", found=str(error)[:_LONGEST_MESSAGE], where=name
        ) from None
    except Exception as error:
        # A connection fails with errors of huggingface_hub's HTTP library, requests or httpx.
        raise HubError(
            "the hub cannot be reached", where=name,
            found=f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE],
            fix="check the connection, HF_ENDPOINT and proxies",
        ) from None  # fmt: skip
    return Uploaded(name=made.repo_id, url=str(made), commit=commit.oid)
