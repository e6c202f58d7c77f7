"""A commented configuration file to begin with."""

from __future__ import annotations

EXAMPLE = """\
# poller: what to poll, and where to publish it. What is commented out shows a default, or an example of what
# is off by default. docs/configuration.md has every key.
kafka:
  bootstrap_servers: ["127.0.0.1:9092"]
  # security: {protocol: SASL_SSL, mechanism: SCRAM-SHA-512, username: poller, password: {file: /run/secrets/kafka}, ca_file: ca.pem}
  # topics:
  #   messages: sms.messages.v1
  #   status: sms.status-changes.v1
  #   dead_letters: sms.dead-letters.v1
  #   latest: sms.messages-latest.v1     # the newest full message of each key, compacted; without a name there is none
  #   state: sms.poller-state.v1
  #   requests: sms.poller-requests.v1   # what commands ask of workers
  # schema_registry: {url: https://registry.example.com, framing: prefix}   # or header; username, password: {file: ...}, ca_file
  # partitions: 16              # of each public topic, at creation
  # shards: 16                  # of the state topic; fixed once it is created
  # replication_factor: auto    # the broker's default, never more than the live brokers
  # group: poller
  # session_timeout: 6s         # a worker that vanished is replaced within this + 6 s
  # instance_id: {env: HOSTNAME}   # static membership, for StatefulSets: a name or a variable
# state:
#   directory: ./poller-state   # local cache; may be lost at any time
# admin:
#   listen: 127.0.0.1:8080
# defaults:                     # any of these may be set again per account
#   interval: 15s
#   overlap: 10m                # re-read at every interval; older ages more slowly
#   start_from: 24h             # how far back a stream without state begins: a duration, a timestamp, or earliest
#   status_horizon: 72h         # how long a message that is not final is waited for
#   reconcile: {every: 6h, back: 7d}
#   timeout: 20s
# privacy: {numbers: plain, text: plain}   # plain | mask | hash | drop; hash needs key: {file: ...}
# log: {level: info, format: auto}
# traces: {endpoint: http://127.0.0.1:4318}   # an OpenTelemetry collector; without it nothing is traced; needs the extra traces
accounts:
- name: main
  provider: heymarket
  credentials: {secret_id: {env: HEYMARKET_ID}, secret_key: {file: /run/secrets/heymarket-key}}   # or {api_key: ...}
  # rate_limit: 400/min         # plivo 20/min, others 60/min
  # inboxes: [12, 15]           # only these; or only single conversations, each a stream by its name:
  # conversations: {vip: {phone: {file: /run/secrets/vip-phone}, inbox: 12}}
- name: sydney
  provider: fonedynamics
  credentials: {account_sid: {env: FD_SID}, token: {file: /run/secrets/fd-token}}
  properties: [PR1, PR2]
- name: collections
  provider: stuut
  base_url: https://api.stuut.ai
  credentials: {token: {file: /run/secrets/stuut}}
  threads: [thr_1, thr_2]       # or {file: threads.txt}, one id a line, re-read when it changes
- name: us
  provider: twilio              # SignalWire and others that speak its API: base_url, a path prefix included
  credentials: {account_sid: {env: TWILIO_SID}, auth_token: {file: /run/secrets/twilio}}   # or api_key and api_secret
  # subaccounts: [AC1, AC2]     # the account itself where it is absent
- name: chicago
  provider: telnyx
  credentials: {api_key: {file: /run/secrets/telnyx}}
- name: austin
  provider: plivo
  credentials: {auth_id: {env: PLIVO_ID}, auth_token: {file: /run/secrets/plivo}}
"""
"""What ``poller config example`` prints: the usual keys with their defaults, and one account of each provider."""
