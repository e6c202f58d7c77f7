"""A broker that asks who you are: TLS with and without client certificates, SASL of every mechanism, and rights (ACLs)."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from poller.demo.kafka.broker import Cluster, _free_ports
from poller.demo.kafka.jars import fetch

USER, PASSWORD = "poller", "invented-password-6021"
LISTENERS = {"PLAIN": "SASL_SSL", "SCRAM-SHA-256": "SASL_SSL", "SCRAM-SHA-512": "SASL_SSL", "OAUTHBEARER": "SASL_SSL", "MTLS": "SSL"}
_JAAS = {
    "PLAIN": f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
    "OAUTHBEARER": 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
}
_ANY = AclOperation.ANY


def token() -> str:
    """A token that the broker's own unsecured validator accepts (RFC 7515, appendix A.5)."""
    parts = ({"alg": "none"}, {"sub": USER, "iat": int(time.time()), "exp": int(time.time()) + 3600})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


class Secured:
    """A running broker whose plain listener is the administrator's, and one listener for each way to be known."""

    def __init__(self, cluster: Cluster, ports: dict[str, int], folder: Path) -> None:
        self.cluster, self.ports, self.folder = cluster, ports, folder
        self.admin = AdminClient({"bootstrap.servers": cluster.bootstrap})

    def security(self, way: str) -> dict[str, object]:
        """``kafka.security`` of a configuration."""
        common: dict[str, object] = {"protocol": LISTENERS[way], "ca_file": "ca.pem"}
        if way == "MTLS":
            return {**common, "cert_file": "client.pem", "key_file": "client.key"}
        if way == "OAUTHBEARER":
            return {**common, "mechanism": way, "token": {"file": "token"}}
        return {**common, "mechanism": way, "username": USER, "password": {"file": "password"}}

    def allow(self, kind: ResourceType, name: str, operation: AclOperation, *, prefix: bool = False) -> None:
        """One right for our user."""
        self._create(self._binding(AclBinding, kind, name, operation, prefix=prefix))

    def forbid_all(self) -> None:
        """No right is left."""
        everything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, _ANY, AclPermissionType.ANY)
        for future in self.admin.delete_acls([everything]).values():
            future.result(10)

    def _create(self, binding: AclBinding) -> None:
        for future in self.admin.create_acls([binding]).values():
            future.result(10)

    @staticmethod
    def _binding(kind: type[AclBinding], resource: ResourceType, name: str, operation: AclOperation, *, prefix: bool) -> AclBinding:
        pattern = ResourcePatternType.PREFIXED if prefix else ResourcePatternType.LITERAL
        return kind(resource, name, pattern, f"User:{USER}", "*", operation, AclPermissionType.ALLOW)


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """For as long as the block lasts."""
    _certificates(folder)
    cluster = Cluster(fetch(progress=print), folder / "kafka")
    ports = dict(zip(LISTENERS, _free_ports(len(LISTENERS)), strict=True))
    node = cluster.nodes[0]
    places = {"PLAINTEXT": node.port, "CONTROLLER": node.controller, **{way.replace("-", "_"): port for way, port in ports.items()}}
    listeners = {name: f"{name}://127.0.0.1:{port}" for name, port in places.items()}
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **{w.replace("-", "_"): p for w, p in LISTENERS.items()}}
    cluster._settings |= {
        "listeners": ",".join(listeners.values()),
        "advertised.listeners": ",".join(each for name, each in listeners.items() if name != "CONTROLLER"),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": folder / "server.pem",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": folder / "ca.pem",
        "listener.name.mtls.ssl.client.auth": "required",
        "listener.name.mtls.ssl.principal.mapping.rules": f"RULE:^.*$/{USER}/",
        "sasl.enabled.mechanisms": ",".join(way for way in LISTENERS if way != "MTLS"),
    }
    for way, jaas in _JAAS.items():
        name = way.replace("-", "_").lower()
        cluster._settings |= {
            f"listener.name.{name}.sasl.enabled.mechanisms": way,
            f"listener.name.{name}.{way.lower()}.sasl.jaas.config": jaas,
        }
    with cluster:
        one = Secured(cluster, ports, folder)
        _scram(one.admin)
        yield one


def _scram(admin: AdminClient) -> None:
    for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
        wanted = UserScramCredentialUpsertion(USER, ScramCredentialInfo(mechanism, 4096), PASSWORD.encode())
        for future in admin.alter_user_scram_credentials([wanted]).values():
            future.result(20)


def _certificates(folder: Path) -> None:
    """An authority, a server and a client, made for this run."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    server = authority.issue_cert("127.0.0.1", "localhost")
    key = load_pem_private_key(server.private_key_pem.bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # the only form that Kafka reads
    (folder / "server.pem").write_bytes(pem + b"".join(blob.bytes() for blob in server.cert_chain_pems))
    client = authority.issue_cert("poller.invalid", common_name=USER)
    client.private_key_pem.write_to_path(str(folder / "client.key"))
    client.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
    (folder / "password").write_text(PASSWORD)
    (folder / "token").write_text(token())
