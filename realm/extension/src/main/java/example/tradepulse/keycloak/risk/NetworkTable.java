package example.tradepulse.keycloak.risk;

import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/** Values by network; of nested networks the smallest that holds an address decides. Immutable once built. */
final class NetworkTable<V> {

    private final Map<Network, V> values;
    private final TreeSet<Integer> ipv4 = new TreeSet<>(Comparator.reverseOrder());
    private final TreeSet<Integer> ipv6 = new TreeSet<>(Comparator.reverseOrder());

    NetworkTable(Map<Network, V> values) {
        this.values = new HashMap<>(values);
        values.keySet().forEach(network -> lengths(network).add(network.prefix()));
    }

    /** The smallest network around an address, with its value. At most one look-up for each prefix length in the table. */
    Optional<Map.Entry<Network, V>> around(Network address) {
        for (int length : lengths(address)) {
            Network network = length <= address.prefix() ? address.within(length) : null;
            V value = network == null ? null : values.get(network);
            if (value != null) {
                return Optional.of(Map.entry(network, value));
            }
        }
        return Optional.empty();
    }

    private TreeSet<Integer> lengths(Network network) {
        return network.isIpv4() ? ipv4 : ipv6;
    }
}
