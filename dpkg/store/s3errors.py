"""What to tell the user when S3 says no, and whether asking again can help."""

from __future__ import annotations

from typing import Any

from dpkg.errors import Denied, DpkgError, NotFound, Storage, Usage
from dpkg.store.web import Passing

_KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile (AWS_PROFILE, ?profile=)"
_PASSING = frozenset(
    [
        *("500", "502", "503", "504", "429", "InternalError", "ServiceUnavailable", "SlowDown", "Throttling"),
        *("ThrottlingException", "RequestTimeout", "TooManyRequests", "RequestLimitExceeded", "IncompleteBody"),
        *("BandwidthLimitExceeded", "ConditionalRequestConflict", "OperationAborted", "XAmzContentSHA256Mismatch"),
        "BadDigest",
    ]
)
_MISSING = frozenset(("NoSuchKey", "404", "NotFound"))
_UNMET = frozenset(("PreconditionFailed", "412"))
_REGION = frozenset(
    [
        *("PermanentRedirect", "301", "307", "TemporaryRedirect", "AuthorizationHeaderMalformed"),
        *("IllegalLocationConstraintException", "InvalidRegion"),
    ]
)
_FULL = frozenset(("XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "507"))


class Unmet(Storage):
    """The condition of a request (If-Match, If-None-Match) does not hold."""


class Over(Storage):
    """An upload in parts was ended already."""


class Beyond(Storage):
    """A range begins behind the end of the value."""


def explain(error: Exception, action: str, key: str | None, bucket: str, url: str) -> DpkgError | Passing:
    """The error of ours for what s3fs, botocore or aiohttp raised when asked to `action` (read, write, list, …)."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        return _answered(error, action, key, bucket, url)
    if isinstance(error, BotoCoreError | ValueError):
        return _unsent(error, bucket, url)
    return _unreachable(error, url)


def _answered(error: Any, action: str, key: str | None, bucket: str, url: str) -> DpkgError | Passing:
    """What the service answered."""
    said = error.response.get("Error", {})
    meta = error.response.get("ResponseMetadata", {})
    code, message, status = str(said.get("Code", "")), str(said.get("Message", "")), int(meta.get("HTTPStatusCode", 0))
    what = f"'{key}' in {url}" if key else url
    if code in _MISSING:
        return NotFound(f"'{key}' is not in {url}")
    if code in _UNMET:
        return Unmet(f"the condition on {what} does not hold")
    if code == "NoSuchUpload":
        return Over(f"the upload of {what} was given up by someone else", "run the same command again")
    if code in ("InvalidRange", "416"):
        return Beyond(f"{what} is shorter")
    if code in _FULL:
        return Storage(f"cannot {action} {what}: the service has no space left ({code})", "free some space")
    if code in _PASSING or status >= 500:
        return Passing(
            Storage(
                f"cannot {action} {what}: the service is overloaded or broken ({code}, {status})", "try again later"
            )
        )
    if code == "NoSuchBucket":
        return Storage(
            f"there is no bucket '{bucket}' where {url} is",
            "check its name, the endpoint and the region, or make the bucket",
        )
    if code in _REGION or (code == "400" and action != "write"):
        return _elsewhere(said, meta, bucket, url)
    return _refused(code, message, action, what, bucket, url, meta)


def _refused(code: str, message: str, action: str, what: str, bucket: str, url: str, meta: Any) -> DpkgError:
    if code == "InvalidAccessKeyId":
        return Denied(f"{url}: the service does not know this access key", _KEYS)
    if code == "SignatureDoesNotMatch":
        return Denied(f"{url}: the secret key is not that of the access key", _KEYS)
    if code in ("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "ExpiredTokenException"):
        return Denied(
            f"{url}: the session token has expired or is not valid", "log in again, then run the same command"
        )
    if code == "RequestTimeTooSkewed":
        there = meta.get("HTTPHeaders", {}).get("date", "")
        clock = f", where it is {there}" if there else ""
        return Storage(f"this machine's clock is too far from that of {url}{clock}", "set the clock (timedatectl, ntp)")
    if code in ("AccessDenied", "403", "AllAccessDisabled", "AccountProblem", "Forbidden"):
        return Denied(f"these keys may not {action} {what}", f"ask whoever keeps the bucket; or {_KEYS}")
    if code == "InvalidBucketName":
        return Usage(f"'{bucket}' cannot be the name of a bucket", "write s3://bucket/folder")
    return Storage(
        f"cannot {action} {what}: {message[:200] or 'no reason given'} ({code})", "check the bucket and its rules"
    )


def _elsewhere(said: Any, meta: Any, bucket: str, url: str) -> DpkgError:
    region = said.get("Region") or meta.get("HTTPHeaders", {}).get("x-amz-bucket-region", "")
    where = f": it is in '{region}'" if region else ""
    return Storage(
        f"the bucket '{bucket}' is not in the region that {url} was asked in{where}",
        f"set AWS_REGION, or add ?region={region or 'REGION'} to the address",
    )


def _unsent(error: Exception, bucket: str, url: str) -> DpkgError | Passing:
    """What was never asked, or never answered."""
    from botocore import exceptions as boto

    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; a public bucket wants ?anonymous=true"
        return Denied(f"no keys are found for {url}", hint)
    if isinstance(error, boto.ProfileNotFound | boto.ConfigParseError | boto.ConfigNotFound):
        return Usage(f"{url}: {error}", "check ~/.aws/config, AWS_PROFILE and ?profile=")
    if isinstance(error, boto.TokenRetrievalError | boto.UnauthorizedSSOTokenError | boto.SSOTokenLoadError):
        return Denied(f"{url}: the login has expired", "log in again (aws sso login), then run the same command")
    if isinstance(error, boto.SSLError):
        return Storage(f"{url}: the certificate of the service is not trusted", "check the endpoint, and AWS_CA_BUNDLE")
    if isinstance(error, boto.HTTPClientError | boto.EndpointConnectionError | boto.ConnectionError):
        return _unreachable(error, url)
    if isinstance(error, boto.NoRegionError):
        return Usage(f"{url}: no region is set", "set AWS_REGION, or add ?region=REGION to the address")
    if isinstance(error, boto.ParamValidationError) or "bucket name" in str(error).lower():
        return Usage(f"'{bucket}' cannot be the name of a bucket", "write s3://bucket/folder")
    if isinstance(error, ValueError):
        return Usage(f"the endpoint of {url} is no URL", "check AWS_ENDPOINT_URL or ?endpoint=")
    return Storage(f"{url}: {type(error).__name__}: {str(error)[:200]}", "check the settings in ~/.aws")


def _unreachable(error: Exception, url: str) -> DpkgError | Passing:
    """Connections that fail, stall or break off."""
    name = type(error).__name__
    if isinstance(error, TimeoutError) or "Timeout" in name:
        return Passing(
            Storage(f"{url} does not answer in time", "check the network, or give it longer with DPK_TIMEOUT")
        )
    if name in ("EndpointConnectionError", "ClientConnectorError", "ConnectionRefusedError", "ClientConnectorDNSError"):
        return Passing(Storage(f"{url} cannot be reached", "is the service up? check the network and the endpoint"))
    if isinstance(error, OSError) or name.endswith(("Error", "Disconnected")):
        return Passing(
            Storage(f"the connection to {url} broke off ({name})", "check the network, then run the same command")
        )
    return Storage(f"{url}: {name}", "try again")
