"""What aiokafka raises, as one of our errors: who stops for it, and what the operator can do."""

from __future__ import annotations

import ssl

from aiokafka import errors as ak

from ..errors import CommitUncertain, Denied, Fenced, KafkaError, OffsetGone, Refused, Unavailable

TRANSACTION_TIMEOUT_MS = 40_000
"""Milliseconds after which the broker aborts a transaction: longer than a commit may take."""

START_TIMEOUT_S = 30.0
"""A broker with too few replicas for its transaction log never answers the start of a producer."""

_FENCED = (ak.ProducerFenced, ak.InvalidProducerEpoch, ak.InvalidTxnState)
_DENIED = (
    ak.AuthenticationFailedError,
    ak.SaslAuthenticationFailed,
    ak.IllegalSaslStateError,
    ak.UnsupportedSaslMechanismError,
    ak.AuthenticationMethodNotSupported,
)
_HOPELESS = (
    ak.IncompatibleBrokerVersion,
    ak.InvalidConfigurationError,
    ak.InvalidGroupIdError,
    ak.InvalidPartitionsError,
    ak.InvalidReplicationFactorError,
    ak.InvalidTopicError,
    ak.PolicyViolationError,
    ak.SecurityDisabled,
    ak.UnrecognizedBrokerVersion,
    ak.UnsupportedCodecError,
    ak.UnsupportedForMessageFormatError,
    ak.UnsupportedVersionError,
)
"""Asked again, the broker would say the same."""

_TOLD: dict[type[ak.KafkaError], tuple[str, str]] = {
    ak.GroupAuthorizationFailedError: ("the user may not join the group", "allow Read on the group kafka.group"),
    ak.ClusterAuthorizationFailedError: ("the user lacks a right on the cluster", "allow IdempotentWrite, or Create on the topics"),
    ak.TransactionalIdAuthorizationFailed: (
        "the user may not use the transactional ids",
        "allow Write on transactional ids prefixed with the state topic's name",
    ),
    ak.InvalidSessionTimeoutError: (
        "Kafka refused the session timeout",
        "set kafka.session_timeout between the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms",
    ),
    ak.InvalidTransactionTimeout: (
        "Kafka refused the transaction timeout",
        f"set transaction.max.timeout.ms of the brokers to at least {TRANSACTION_TIMEOUT_MS}",
    ),
    ak.InvalidTimestampError: (
        "Kafka refused the time of the records: this host's clock is wrong",
        "set the host's clock (NTP), or allow more by message.timestamp.after.max.ms of the topics",
    ),
    ak.UnknownTopicOrPartitionError: ("a topic or partition is missing", "run: poller topics create"),
    ak.MessageSizeTooLargeError: ("Kafka refused a record for its size", "set max.message.bytes of the topics to at least 1048588"),
    ak.RecordListTooLargeError: ("Kafka refused a batch for its size", "set max.message.bytes of the topics to at least 1048588"),
}


def mapped(
    error: BaseException, first: BaseException | None, *, writing: bool = False, starting: str = "Kafka", right: str = "Describe"
) -> KafkaError:
    """Any exception around a client as one of ours. Not every aiokafka error is a KafkaError.

    ``first`` is the first failed send: a producer that was fenced between two sends raises
    IllegalOperation, and only that send knows why. ``right`` is what was being used.
    """
    for cause in (error, first, error.__cause__):
        if isinstance(cause, KafkaError):
            return cause
        if isinstance(cause, _FENCED):
            return Fenced()
        if isinstance(cause, _DENIED):
            return Denied(
                f"Kafka refused the credentials ({type(cause).__name__})", fix="check kafka.security: mechanism, username, password"
            )
        if isinstance(cause, ak.TopicAuthorizationFailedError):
            named = cause.args[0] if cause.args else ()
            named = {named} if isinstance(named, str) else named if isinstance(named, set | frozenset) else ()
            return Refused(
                "the user lacks a right on the topics", fix=f"allow {right} on the topics {', '.join(sorted(named)) or 'of kafka.topics'}"
            )
        if isinstance(cause, ssl.SSLError):
            return Denied(f"the TLS handshake with Kafka failed ({cause.reason})", fix="check kafka.security: ca_file, cert_file, key_file")
        if isinstance(cause, ak.OffsetOutOfRangeError | ak.NoOffsetForPartitionError):
            return OffsetGone()
        for kind, (what, fix) in _TOLD.items():
            if isinstance(cause, kind):
                return (Unavailable if kind.retriable else Refused)(what, fix=fix)  # a new topic is not known to every broker at once
        if isinstance(cause, _HOPELESS):
            return Refused(
                f"Kafka refuses the request ({type(cause).__name__})",
                fix="compare the broker's release and settings with docs/operations.md",
            )
    if writing and isinstance(error, ak.IllegalOperation):
        return Fenced()
    if writing:
        return CommitUncertain(f"a transaction ended without an answer ({type(error).__name__})")
    if isinstance(error, TimeoutError):
        return Unavailable(f"{starting} did not answer in {START_TIMEOUT_S:.0f} s", fix="are there enough replicas for its own topics?")
    return Unavailable(f"Kafka cannot be reached ({type(error).__name__})", fix="check kafka.bootstrap_servers, and kafka.security")
