"""Many nodes over one store, without a leader: leases, routing, news, and the work of nodes that are gone."""
