"""Pickles, for sites that opt in.

A pickle is signed with the site's key, for the name of its task. So write access to the table is
not enough to get a pickle loaded, or to run a task with the arguments of another one.
"""

from __future__ import annotations

import base64
import pickle
from typing import Any

from django.core import signing

from taskq import conf
from taskq.task.payload_error import PayloadError

PICKLED = "pickle:"


def dumps(call: list[Any], signed_for: str) -> str:
    """Raises PayloadError for arguments that cannot be pickled."""
    try:
        body = pickle.dumps(call)
    except Exception as error:  # pickling runs the value's own code, which may raise anything
        raise PayloadError(f"the arguments cannot be pickled: {error}") from error
    return PICKLED + signing.Signer(salt=signed_for).sign(base64.b64encode(body).decode("ascii"))


def loads(text: str, signed_for: str) -> Any:
    """Raises PayloadError for a text that :func:`dumps` did not write for this, and on a site that
    does not accept pickles."""
    if conf.settings().serializer != "pickle":
        raise PayloadError(
            "the stored arguments are pickled, and TASKQ['SERIALIZER'] is not 'pickle'"
        )
    try:
        body = signing.Signer(salt=signed_for).unsign(text.removeprefix(PICKLED))
    except signing.BadSignature as error:
        raise PayloadError(
            "the signature of the stored arguments is wrong: somebody else wrote them, they are of "
            "a task of another name, or SECRET_KEY changed (keep the old one in "
            "SECRET_KEY_FALLBACKS)"
        ) from error
    try:
        return pickle.loads(base64.b64decode(body))
    except Exception as error:  # loading a pickle runs the value's own code
        raise PayloadError(f"the stored arguments cannot be un-pickled: {error}") from error
