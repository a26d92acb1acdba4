-- Orders whose sales, shipment and receipt differ, as the newest run of the three-way match lists them (FIN-04).
CREATE OR REPLACE VIEW finance.open_triples AS
SELECT newest.period AS run, found.order_guid, found.channel, found.currency, found.sales_minor, found.receipt_minor,
       found.gap_minor, found.sold, found.shipped, found.alert
FROM (SELECT period, rows FROM reports WHERE name = 'FIN-04' ORDER BY period DESC LIMIT 1) AS newest,
     jsonb_to_recordset(newest.rows::jsonb) AS found(
         order_guid text, channel text, currency text, sales_minor bigint, receipt_minor bigint, gap_minor bigint,
         sold bigint, shipped bigint, alert boolean)
WHERE found.order_guid IS NOT NULL;

-- How many orders differ by channel in each run, those too that are not listed.
CREATE OR REPLACE VIEW finance.triples_by_run AS
SELECT reports.period AS run, found.channel, found.alerted, found.listed
FROM reports,
     jsonb_to_recordset(reports.rows::jsonb) AS found(order_guid text, channel text, alerted bigint, listed bigint)
WHERE reports.name = 'FIN-04' AND found.order_guid IS NULL;
