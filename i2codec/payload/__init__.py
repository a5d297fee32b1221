"""The only place that knows both signals or networks and the bytes of their sections."""
