#!/bin/sh
# Run once by the image, on an empty folder: a database for finance, one for the registry, and who may do what in them.
# The passwords come from the environment and are quoted by psql.
set -eu
psql -v ON_ERROR_STOP=1 -U postgres -v oms="$POSTGRES_PASSWORD" -v grafana="$GRAFANA_DB_PASSWORD" <<'SQL'
CREATE ROLE finance_reader NOLOGIN;
CREATE ROLE oms LOGIN PASSWORD :'oms';
CREATE ROLE registry LOGIN PASSWORD :'oms';
CREATE ROLE grafana LOGIN PASSWORD :'grafana' IN ROLE finance_reader;
CREATE DATABASE finance OWNER oms;
CREATE DATABASE registry OWNER registry;
SQL
