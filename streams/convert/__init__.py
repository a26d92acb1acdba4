"""Real data sets as input events: each module turns one published data set into the input lines of the contract."""
