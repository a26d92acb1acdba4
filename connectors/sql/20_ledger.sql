-- The ledger as it is posted. amount_minor is signed for the shop; posted_minor, what both accounts move by, is not.
CREATE OR REPLACE VIEW finance.ledger AS
SELECT entry_id, order_guid, line_no, channel, period, currency, kind, debit_account, credit_account,
       abs(amount_minor) AS posted_minor, amount_minor, rule,
       recognized_at AT TIME ZONE 'UTC' AS recognized_at, reversal_of
FROM ledger_entries;

-- Both sides of every posting, debits positive.
CREATE OR REPLACE VIEW finance.postings AS
SELECT entry_id, order_guid, channel, period, currency, kind, debit_account AS account,
       credit_account AS other_account, posted_minor AS debit_minor, 0::bigint AS credit_minor
FROM finance.ledger
UNION ALL
SELECT entry_id, order_guid, channel, period, currency, kind, credit_account, debit_account, 0, posted_minor
FROM finance.ledger;

-- Debits and credits of each account and currency; in the line TOTAL they are equal.
CREATE OR REPLACE VIEW finance.trial_balance AS
SELECT currency, coalesce(account, 'TOTAL') AS account, sum(debit_minor)::bigint AS debit_minor,
       sum(credit_minor)::bigint AS credit_minor, sum(debit_minor - credit_minor)::bigint AS balance_minor
FROM finance.postings
GROUP BY GROUPING SETS ((currency, account), (currency));

-- Movements of the accounts by channel and period; recognised is revenue less discounts and refunds of what was sold.
CREATE OR REPLACE VIEW finance.ledger_by_channel_and_period AS
SELECT channel, period, currency, count(*) / 2 AS entries,
       coalesce(sum(debit_minor) FILTER (WHERE account = 'cash'), 0)::bigint AS received_minor,
       coalesce(sum(credit_minor) FILTER (WHERE account = 'cash' AND other_account = 'customer_advances'), 0)::bigint
           AS returned_minor,
       coalesce(sum(credit_minor) FILTER (WHERE account = 'cash' AND other_account <> 'customer_advances'), 0)::bigint
           AS fees_minor,
       coalesce(sum(credit_minor - debit_minor) FILTER (WHERE account = 'revenue'), 0)::bigint AS revenue_minor,
       coalesce(sum(debit_minor - credit_minor) FILTER (WHERE account = 'discounts'), 0)::bigint AS discounts_minor,
       coalesce(sum(debit_minor - credit_minor) FILTER (WHERE account = 'refunds'), 0)::bigint AS refunds_minor,
       coalesce(sum(credit_minor - debit_minor) FILTER (WHERE account IN ('revenue', 'discounts', 'refunds')), 0)::bigint
           AS recognised_minor,
       coalesce(sum(credit_minor - debit_minor) FILTER (WHERE account = 'customer_advances'), 0)::bigint
           AS advances_minor
FROM finance.postings
GROUP BY channel, period, currency;

-- What does not add up, and should never be seen: an entry that moves nothing, reversals of what is not there, or of
-- another amount, or of the same twice.
CREATE OR REPLACE VIEW finance.ledger_faults AS
SELECT entry_id, order_guid, 'moves nothing' AS fault
FROM finance.ledger
WHERE debit_account = credit_account OR posted_minor = 0
UNION ALL
SELECT late.entry_id, late.order_guid, CASE WHEN first.entry_id IS NULL THEN 'reverses what is not there'
                                            ELSE 'reverses another amount' END
FROM finance.ledger late
LEFT JOIN finance.ledger first ON first.entry_id = late.reversal_of
WHERE late.reversal_of IS NOT NULL
  AND (first.posted_minor, first.debit_account, first.credit_account)
      IS DISTINCT FROM (late.posted_minor, late.credit_account, late.debit_account)
UNION ALL
SELECT reversal_of, min(order_guid), 'reversed twice'
FROM finance.ledger
WHERE reversal_of IS NOT NULL
GROUP BY reversal_of
HAVING count(*) > 1;
