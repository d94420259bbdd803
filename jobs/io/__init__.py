"""The only place in ``jobs`` that opens anything: lake, warehouse, online store, objects, registry, state."""
