"""Every exception of the libraries below has one of our errors, and a new one cannot slip through."""

from __future__ import annotations

import inspect
import ssl
from pathlib import Path

import anyio
import httpx
import pytest
from aiokafka import errors as ak

from poller.errors import CommitUncertain, Denied, Fenced, KafkaError, OffsetGone, Refused, Unavailable, Unreachable
from poller.kafka.translate import mapped
from poller.polling.client.over_httpx import OverHttpx
from poller.providers.contract import Request
from tests.support.vendor import client_of

WORDS: dict[type[KafkaError], str] = {
    Fenced: "InvalidProducerEpoch InvalidTxnState ProducerFenced",
    OffsetGone: "NoOffsetForPartitionError OffsetOutOfRangeError",
    Denied: "AuthenticationFailedError AuthenticationMethodNotSupported IllegalSaslStateError SaslAuthenticationFailed "
    "UnsupportedSaslMechanismError",
    Refused: "InvalidTimestampError ClusterAuthorizationFailedError GroupAuthorizationFailedError IncompatibleBrokerVersion InvalidConfigurationError "
    "InvalidGroupIdError InvalidPartitionsError InvalidReplicationFactorError InvalidSessionTimeoutError InvalidTopicError "
    "InvalidTransactionTimeout MessageSizeTooLargeError PolicyViolationError RecordListTooLargeError SecurityDisabled "
    "TopicAuthorizationFailedError TransactionalIdAuthorizationFailed UnrecognizedBrokerVersion UnsupportedCodecError "
    "UnsupportedForMessageFormatError UnsupportedVersionError",
    Unavailable: "BrokerNotAvailableError BrokerResponseError Cancelled CommitFailedError ConcurrentTransactions ConsumerStoppedError "
    "CoordinatorLoadInProgressError CoordinatorNotAvailableError CorrelationIdError CorruptRecordException DelegationTokenAuthDisabled "
    "DelegationTokenAuthorizationFailed DelegationTokenExpired DelegationTokenNotFound DelegationTokenOwnerMismatch "
    "DelegationTokenRequestNotAllowed DuplicateSequenceNumber FetchSessionIdNotFound GroupCoordinatorNotAvailableError GroupIdNotFound "
    "GroupLoadInProgressError IllegalArgumentError IllegalGenerationError IllegalOperation IllegalStateError "
    "InconsistentGroupProtocolError InvalidCommitOffsetSizeError InvalidFetchRequestError InvalidFetchSessionEpoch InvalidMessageError "
    "InvalidPrincipalType InvalidProducerIdMapping InvalidReplicationAssignmentError InvalidRequestError InvalidRequiredAcksError "
    "KafkaConfigurationError KafkaConnectionError KafkaError KafkaProtocolError KafkaStorageError "
    "KafkaTimeoutError KafkaUnavailableError LeaderNotAvailableError ListenerNotFound LogDirNotFound MemberIdRequired "
    "MetadataEmptyBrokerList NoBrokersAvailable NoError NodeNotReadyError NonEmptyGroup NotControllerError NotCoordinatorError "
    "NotCoordinatorForGroupError NotEnoughReplicasAfterAppendError NotEnoughReplicasError NotLeaderForPartitionError "
    "OffsetMetadataTooLargeError OperationNotAttempted OutOfOrderSequenceNumber ProducerClosed QuotaViolationError "
    "ReassignmentInProgress RebalanceInProgressError RecordTooLargeError ReplicaNotAvailableError RequestTimedOutError "
    "StaleControllerEpochError StaleLeaderEpochCodeError StaleMetadata TooManyInFlightRequests TopicAlreadyExistsError "
    "TransactionCoordinatorFenced UnknownError UnknownMemberIdError UnknownProducerId UnknownTopicOrPartitionError",
}
"""What each exception of the library is to us when it comes alone, outside of a transaction."""


def every(module: object) -> dict[str, type[Exception]]:
    """The exceptions that a library names."""
    return {name: kind for name, kind in vars(module).items() if inspect.isclass(kind) and issubclass(kind, Exception)}


def made(kind: type[Exception]) -> Exception:
    """An instance, whatever it wants."""
    for arguments in ((), ("x",), ({},)):
        try:
            return kind(*arguments)
        except TypeError:
            continue
    return kind.__new__(kind)


def test_every_exception_of_the_kafka_client_is_one_of_ours() -> None:
    """The table of what each means is complete and true; an upgrade of the library that brings another turns it red."""
    table = {name: ours for ours, names in WORDS.items() for name in names.split()}
    found = {name: type(mapped(made(kind), None)) for name, kind in every(ak).items()}
    assert found == table


def test_in_a_transaction_whatever_is_not_understood_is_uncertain() -> None:
    """No exception around a commit is taken for "not committed"."""
    for kind in every(ak).values():
        assert isinstance(mapped(made(kind), None, writing=True), CommitUncertain | Fenced | Refused | OffsetGone | Unavailable)
    for error in (ak.RequestTimedOutError(), ak.KafkaConnectionError(), TimeoutError(), OSError(), ValueError(), ak.UnknownError()):
        assert type(mapped(error, None, writing=True)) is CommitUncertain
    assert type(mapped(ak.IllegalOperation(), ak.ProducerFenced(), writing=True)) is Fenced


def test_nothing_hopeless_is_called_unavailable() -> None:
    """What the operator must mend carries its fix."""
    for ours in (Refused, Denied):
        for name in WORDS[ours].split():
            assert mapped(made(every(ak)[name]), None).fix, name


HTTPX = (
    "CloseError ConnectError ConnectTimeout DecodingError HTTPError HTTPStatusError InvalidURL LocalProtocolError NetworkError PoolTimeout "
)
HTTPX += "ProtocolError ProxyError ReadError ReadTimeout RemoteProtocolError RequestError RequestNotRead ResponseNotRead StreamClosed "
HTTPX += (
    "StreamConsumed StreamError TimeoutException TooManyRedirects TransportError UnsupportedProtocol WriteError WriteTimeout CookieConflict"
)


def test_the_list_of_the_http_client_is_complete() -> None:
    """An upgrade of the library that brings another exception turns this red."""
    assert set(every(httpx)) == set(HTTPX.split())


class Raising(httpx.AsyncBaseTransport):
    """A transport that fails in one way."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Fails."""
        raise self.error


_OTHERS: list[Exception] = [OSError(), ssl.SSLError(), TimeoutError(), ConnectionResetError(), EOFError()]


@pytest.mark.parametrize("name", [*HTTPX.split(), *(type(error).__name__ for error in _OTHERS)])
def test_every_exception_of_the_http_client_means_unreachable(name: str, tmp_path: Path) -> None:
    """Whatever the transport raises, the stream backs off; nothing else, and no word of the exception is repeated."""
    kinds = every(httpx)
    error = next((each for each in _OTHERS if type(each).__name__ == name), None) or made(kinds[name])
    error.args = ("canary-secret",)
    heard: list[str] = []

    async def ask() -> None:
        more = {
            "timeout_s": 1.0,
            "token": "canary-secret",
            "on_request": lambda code, _: heard.append(code),
            "transport": OverHttpx(Raising(error)),
        }
        async with client_of("http://127.0.0.1:1", tmp_path, **more) as client:
            await client.exchange(Request("GET", "/x"))

    with pytest.raises(Unreachable) as raised:
        anyio.run(ask)
    assert "canary" not in str(raised.value)
    assert heard
