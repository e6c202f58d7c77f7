-- Questions to a dump:
--
--   poller tail --config poller.yaml --topic messages --once --json > messages.jsonl
--   poller tail --config poller.yaml --topic status --once --json > status.jsonl
--   duckdb < messages.sql                      (pip install duckdb-cli)
--
-- Each line is {"key": ..., "headers": {...}, "value": {...}}; `revision` says what is newer, times only when it was.

create or replace view messages as
select key, value->>'text' as text, value->>'direction' as direction, value->>'channel' as channel,
       value->>'status' as listed_status, cast(value->>'created_at' as timestamptz) as created_at,
       cast(value->>'revision' as integer) as revision
from read_json('messages.jsonl', format = 'newline_delimited', columns = {key: 'varchar', headers: 'json', value: 'json'})
qualify row_number() over (partition by key order by revision desc) = 1;

create or replace view statuses as
select key, value->>'status' as status, value->>'previous_status' as previous_status, value->>'final' = 'true' as final,
       cast(value->>'occurred_at' as timestamptz) as occurred_at, cast(value->>'observed_at' as timestamptz) as observed_at,
       cast(value->>'revision' as integer) as revision
from read_json('status.jsonl', format = 'newline_delimited', columns = {key: 'varchar', headers: 'json', value: 'json'});

-- The newest status of every sent message: the status topic alone tells it.
create or replace view newest_status as
select * from statuses qualify row_number() over (partition by key order by revision desc) = 1;

-- How many messages are in which state; what was received has no events of its status.
select coalesce(status, listed_status) as status, count(*) as messages
from messages left join newest_status using (key) group by all order by messages desc, status;

-- Messages that went out more than an hour ago and are not delivered.
create or replace view overdue as
select key, status, created_at, now() - created_at as age
from messages join newest_status using (key)
where direction = 'outbound' and status not in ('delivered', 'read') and created_at < now() - interval 1 hour
order by created_at;
select * from overdue;

-- How long delivery took, by hour, where the provider gives a stamp.
select date_trunc('hour', created_at) as hour, count(*) as delivered,
       quantile_cont(epoch(occurred_at - created_at), 0.5) as p50_seconds, quantile_cont(epoch(occurred_at - created_at), 0.95) as p95_seconds
from messages join statuses using (key) where status = 'delivered' group by all order by hour;
