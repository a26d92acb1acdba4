GRANT SELECT ON ALL TABLES IN SCHEMA finance TO finance_reader;
