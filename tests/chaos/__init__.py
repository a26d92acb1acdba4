"""Workers killed, paused and brought back under load; what came out is compared with what had to come out."""
