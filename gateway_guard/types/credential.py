"""Why a credential names no account."""

from __future__ import annotations

import enum


class CredentialFault(enum.Enum):
    """Why a credential names no account: a fixed vocabulary, nothing of the credential in it.

    No `StrEnum`, on purpose: where the name of an account may stand, a fault must never pass for
    one.
    """

    # What stands in the headers.
    TWO_CREDENTIALS = "two-credentials"
    REPEATED_HEADER = "repeated-header"
    AMBIGUOUS_SPELLING = "ambiguous-spelling"
    # What a JSON Web Token is.
    NOT_A_JWT = "not-a-jwt"
    MALFORMED = "malformed"
    CRITICAL_EXTENSION = "critical-extension"
    # Who signed it, or says so.
    UNVERIFIED = "unverified"
    ALGORITHM_NOT_ALLOWED = "algorithm-not-allowed"
    KEYS_UNREACHABLE = "keys-unreachable"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"
    # What it claims.
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    WRONG_ISSUER = "wrong-issuer"
    WRONG_AUDIENCE = "wrong-audience"
    CLAIM_MISSING = "claim-missing"

    @property
    def meaning(self) -> str:
        """The fault as a clause for the operator; never sent to the client."""
        return _MEANINGS[self]


_MEANINGS = {
    CredentialFault.TWO_CREDENTIALS: "two credentials that differ came together",
    CredentialFault.REPEATED_HEADER: "its header came more than once",
    CredentialFault.AMBIGUOUS_SPELLING: "readers would spell it differently",
    CredentialFault.NOT_A_JWT: "it is no JSON Web Token",
    CredentialFault.MALFORMED: "the claims, or their times, cannot be read",
    CredentialFault.CRITICAL_EXTENSION: "it demands an extension nobody here knows (crit, b64)",
    CredentialFault.UNVERIFIED: "nobody verified it: it came past the policy's trusted_proxies",
    CredentialFault.ALGORITHM_NOT_ALLOWED: "its algorithm is not among the policy's",
    CredentialFault.KEYS_UNREACHABLE: "the key set that verifies it cannot be fetched",
    CredentialFault.UNKNOWN_KEY: "the key set has no key of its key id",
    CredentialFault.BAD_SIGNATURE: "its signature is not made with the key",
    CredentialFault.EXPIRED: "it has expired",
    CredentialFault.NOT_YET_VALID: "it is not valid yet",
    CredentialFault.WRONG_ISSUER: "its issuer is another, or none",
    CredentialFault.WRONG_AUDIENCE: "its audience is another, or none",
    CredentialFault.CLAIM_MISSING: "the claim that names the account is missing or no name",
}
