"""A streaming order-state processor on Faust and Kafka."""
