package example.tradepulse.keycloak.risk;

import java.util.Optional;

/** The operator's files as they are now; empty for one that cannot be used, or that the policy does not name. */
record Lists(Optional<NetworkTable<Outcome>> networks, Optional<NetworkTable<Position>> locations) {}
