"""The contract: what travels over Kafka. Imports pydantic and the standard library only."""
