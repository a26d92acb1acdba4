"""Reports at their hour: each partition of an agent tells its part, one record per report goes out.

settings   when, how long to wait, who follows up        assembly   parts of a day, in any order, late ones too
stock      what a day's parts say: INV-13, INV-16      repair     of a month: time until alerts are closed, OTH-12
unconfirmed   as a period closes: delivered orders that no customer confirmed, FIN-14
balance   as a period closes: debits and credits by account, FIN-11
health   by month and channel: creation, split delay, abnormal orders, FIN-09
variance   what a BI system says was sold against what is booked, FIN-08      record   what they all share
lineage    by source, records that could be joined to an order, DQ-15
"""
