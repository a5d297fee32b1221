"""i2codec: signals stored as (Implicit)² networks."""
