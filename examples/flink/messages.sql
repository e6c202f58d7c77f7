-- poller's topics in Flink SQL: both topics as tables, the newest state of each message, the join, and what is overdue.
--
-- Replace the address; `scan.startup.mode` may be 'group-offsets' in production. Values are JSON, keys are text; isolation is
-- read_committed, which is what exactly once is true for. `revision` says what is newer: no time does.

create table messages (
  `key` string,
  message_id string, account string, provider string, direction string, channel string,
  `from` string, `to` array<string>, `text` string, status string, revision int, `final` boolean,
  created_at timestamp_ltz(3), segments int,
  `topic_time` timestamp_ltz(3) metadata from 'timestamp' virtual
) with (
  'connector' = 'kafka', 'topic' = 'sms.messages.v1', 'properties.bootstrap.servers' = '127.0.0.1:9092',
  'properties.isolation.level' = 'read_committed', 'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw', 'key.fields' = 'key', 'value.format' = 'json', 'value.fields-include' = 'EXCEPT_KEY',
  'value.json.ignore-parse-errors' = 'false', 'value.json.timestamp-format.standard' = 'ISO-8601'
);

create table statuses (
  `key` string,
  status string, previous_status string, revision int, `final` boolean, occurred_at timestamp_ltz(3), observed_at timestamp_ltz(3)
) with (
  'connector' = 'kafka', 'topic' = 'sms.status-changes.v1', 'properties.bootstrap.servers' = '127.0.0.1:9092',
  'properties.isolation.level' = 'read_committed', 'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw', 'key.fields' = 'key', 'value.format' = 'json', 'value.fields-include' = 'EXCEPT_KEY',
  'value.json.timestamp-format.standard' = 'ISO-8601'
);

-- The newest full message of each key.
create view newest_messages as
select * from (select *, row_number() over (partition by `key` order by revision desc) as place from messages) where place = 1;

-- The newest status of each sent message: the status topic alone tells it.
create view newest_statuses as
select * from (select *, row_number() over (partition by `key` order by revision desc) as place from statuses) where place = 1;

-- Both, joined by key: whichever side is newer says the status.
create view states as
select m.`key`, m.direction, m.channel, m.created_at,
       case when s.revision > m.revision then s.status else m.status end as status,
       case when s.revision > m.revision then s.revision else m.revision end as revision
from newest_messages as m left join newest_statuses as s on m.`key` = s.`key`;

-- Sent more than an hour ago and not delivered. A lookup over a table: alert from it, or write it to an upsert sink.
create view overdue as
select `key`, status, created_at from states
where direction = 'outbound' and status not in ('delivered', 'read') and created_at < current_timestamp - interval '1' hour;
