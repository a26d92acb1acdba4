-- How many orders are where, by channel, and how many of them are late by the SLA of their node as of now. Nobody's name.
CREATE OR REPLACE VIEW finance.order_counts AS
SELECT channel, state, node, count(*) AS orders,
       count(*) FILTER (WHERE sla_due_at < now() AT TIME ZONE 'UTC') AS overdue,
       count(*) FILTER (WHERE 'conflict' = ANY (flags)) AS in_conflict,
       count(*) FILTER (WHERE 'locked' = ANY (flags)) AS locked
FROM order_states
GROUP BY channel, state, node;

-- Alerts that are not closed, by rule and recipient.
CREATE OR REPLACE VIEW finance.open_alerts AS
SELECT rule, severity, recipient, count(*) AS alerts, sum(count)::bigint AS occurrences,
       min(opened_at) AT TIME ZONE 'UTC' AS oldest
FROM alerts
WHERE status <> 'closed'
GROUP BY rule, severity, recipient;
