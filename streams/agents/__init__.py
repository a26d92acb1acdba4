"""The agents: which topics, which reducer, which tables, which outputs. The rules stand in `streams.domain`."""

from streams.agents.alerts import alerts
from streams.agents.calls import calls
from streams.agents.channels import channels
from streams.agents.estimates import estimates
from streams.agents.facets import facets
from streams.agents.identity import identity
from streams.agents.intake import intake
from streams.agents.inventory import inventory
from streams.agents.invoices import invoices
from streams.agents.orders import orders
from streams.agents.reports import reports
from streams.agents.risk import risk

ALL = (
    intake,
    channels,
    identity,
    orders,
    facets,
    invoices,
    inventory,
    calls,
    estimates,
    risk,
    reports,
    alerts,
)
"""Every agent, in the order of the flow."""
