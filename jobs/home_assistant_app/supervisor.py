"""Ask Home Assistant's Supervisor which services other apps provide: an MQTT broker, a MariaDB."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from storage.errors import PatternAggregatesError

ADDRESS: Final = "http://supervisor"
TIMEOUT_SECONDS: Final = 10.0
MAX_BYTES: Final = 65_536

_NONE_IS_EMPTY: Final = BeforeValidator(lambda value: "" if value is None else value)  # a service without a login


class SupervisorUnavailable(PatternAggregatesError):
    """The Supervisor cannot be asked now."""

    retryable = True


class Service(BaseModel):
    """Where a service is, and with which account it is used.

    Attributes:
        ssl: Whether the connection is encrypted; only MQTT has this.
    """

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(gt=0, le=65_535)]
    username: Annotated[str, _NONE_IS_EMPTY] = ""
    password: Annotated[str, _NONE_IS_EMPTY, Field(repr=False)] = ""
    ssl: bool = False


def read_service(name: Literal["mqtt", "mysql"], token: str, address: str = ADDRESS) -> Service | None:
    """Return a service; None if no app provides it.

    Args:
        name: The service.
        token: The app's token, which the Supervisor puts into ``SUPERVISOR_TOKEN``.
        address: The Supervisor's address.

    Raises:
        SupervisorUnavailable: The Supervisor does not answer, or refuses the token.
    """
    request = urllib.request.Request(  # noqa: S310 - the Supervisor's address, http
        f"{address}/services/{name}", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - likewise
            body = answer.read(MAX_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == HTTPStatus.BAD_REQUEST:  # "Service not enabled": nobody provides it
                return None
            raise _unavailable(name, f"it answers {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _unavailable(name, str(error)) from error
    try:
        return Service.model_validate(json.loads(body)["data"])
    except ValidationError as error:
        places = ", ".join(".".join(map(str, part["loc"])) for part in error.errors())
        raise _unavailable(name, f"its answer is not valid: {places}") from None  # the values hold a password
    except (ValueError, KeyError, TypeError) as error:
        raise _unavailable(name, "its answer is not valid JSON with data") from error


def _unavailable(name: str, why: str) -> SupervisorUnavailable:
    return SupervisorUnavailable(
        f"the Supervisor cannot be asked for the service {name}: {why}", hint="Start the app again."
    )
