-- The money of each order by the ledger, beside its state. Settled is what finance says, recognised what the rules say.
CREATE OR REPLACE VIEW finance.orders AS
SELECT money.order_guid, money.channel, money.currency, states.state, states.state = 'settled' AS settled,
       money.received_minor - money.returned_minor AS kept_minor, money.recognised_minor, money.advances_minor,
       money.recognised_in
FROM (SELECT order_guid, min(channel) AS channel, currency,
             coalesce(sum(debit_minor) FILTER (WHERE account = 'cash'), 0)::bigint AS received_minor,
             coalesce(sum(credit_minor) FILTER (WHERE account = 'cash' AND other_account = 'customer_advances'), 0)::bigint
                 AS returned_minor,
             coalesce(sum(credit_minor - debit_minor) FILTER (WHERE account IN ('revenue', 'discounts', 'refunds')), 0)
                 ::bigint AS recognised_minor,
             coalesce(sum(credit_minor - debit_minor) FILTER (WHERE account = 'customer_advances'), 0)::bigint
                 AS advances_minor,
             CASE WHEN sum(credit_minor - debit_minor) FILTER (WHERE account = 'revenue') <> 0
                  THEN max(period) FILTER (WHERE account = 'revenue' AND credit_minor > 0) END AS recognised_in
      FROM finance.postings
      GROUP BY order_guid, currency) AS money
LEFT JOIN order_states AS states USING (order_guid);

-- What is recognised against what is settled, by channel and the period of recognition (null: not recognised yet).
CREATE OR REPLACE VIEW finance.recognised_against_settled AS
SELECT channel, currency, recognised_in AS period, count(*) AS orders,
       sum(recognised_minor)::bigint AS recognised_minor,
       count(*) FILTER (WHERE settled) AS settled_orders,
       coalesce(sum(kept_minor) FILTER (WHERE settled), 0)::bigint AS settled_minor,
       sum(recognised_minor)::bigint - coalesce(sum(kept_minor) FILTER (WHERE settled), 0)::bigint AS difference_minor
FROM finance.orders
GROUP BY channel, currency, recognised_in;
