"""Pure computation: networks, clinical scores, recommenders, weights. Knows no Kafka, no Redis, no clock."""
