"""The (Implicit)² field Φ(x) = W z* + b with z* = F(z*; x)."""
