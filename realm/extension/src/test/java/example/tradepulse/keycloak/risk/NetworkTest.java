package example.tradepulse.keycloak.risk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import java.util.Optional;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NetworkTest {

    @ParameterizedTest
    @CsvSource({
        "192.0.2.77, deny",
        "192.0.2.130, allow",
        "::ffff:192.0.2.77, deny",
        "192.0.3.1, step_up",
        "2001:db8:1::5, step_up",
        "2001:db8:1::5%eth0, step_up",
        "2001:db8:2::5, none",
        "198.51.100.1, none"
    })
    void theSmallestNetworkAroundAnAddressDecides(String address, String expected) {
        NetworkTable<Outcome> list = NetworkFile.denyList(List.of(
                "# made by hand", "", "192.0.2.0/23", "192.0.2.0/24 deny", "192.0.2.128/25 allow # the office", "2001:db8:1::/48"));
        Optional<Map.Entry<Network, Outcome>> found = list.around(Network.ofAddress(address).orElseThrow());
        assertEquals(expected, found.map(entry -> entry.getValue().word()).orElse("none"));
    }

    @Test
    void wholeInternetsAndSingleAddressesAreNetworksToo() {
        NetworkTable<Outcome> list = NetworkFile.denyList(List.of("0.0.0.0/0", "203.0.113.9 deny", "::/0 deny"));
        assertEquals(Outcome.DENY, list.around(Network.parse("203.0.113.9")).orElseThrow().getValue());
        assertEquals(Outcome.STEP_UP, list.around(Network.parse("203.0.113.8")).orElseThrow().getValue());
        assertEquals(Outcome.DENY, list.around(Network.parse("2001:db8::1")).orElseThrow().getValue());
    }

    @ParameterizedTest
    @ValueSource(strings = {"localhost", "example.org", "127.1", "0177.0.0.1", "1.2.3.4.5", "256.1.1.1", "", "fe80::g", "::1::", "a.b.c.d", "1.2.3."})
    void whatIsNoNumericAddressIsNeverLookedUp(String text) {
        assertEquals(Optional.empty(), Network.ofAddress(text));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0 /24", "2001:db8::/129", "2001:db8::1/32", "::ffff:192.0.2.0/24",
        "example.org/24", "192.0.2.0/24 maybe", "192.0.2.0/24 deny deny"
    })
    void aLineThatSaysSomethingElseThanItMeansSpoilsTheFileAndIsNamed(String line) {
        IllegalArgumentException problem =
                assertThrows(IllegalArgumentException.class, () -> NetworkFile.denyList(List.of("198.51.100.0/24", line)));
        assertEquals("line 2", problem.getMessage().split(":")[0]);
    }

    @Test
    void aNetworkStandsInAFileOnce() {
        assertThrows(IllegalArgumentException.class, () -> NetworkFile.denyList(List.of("192.0.2.0/24", "192.0.2.0/24 deny")));
    }

    @Test
    void mappedAddressesAreTheIpv4OnesThatTheyMean() {
        assertEquals(Network.parse("192.0.2.0/24"), Network.parse("::ffff:192.0.2.0/120"));
    }

    @Test
    void placesAreReadWithOrWithoutTheirHeading() {
        for (List<String> lines : List.of(List.of("prefix,lat,lon", "192.0.2.0/24, 40.71 ,-74.01"), List.of("192.0.2.0/24,40.71,-74.01"))) {
            Position found = NetworkFile.locations(lines).around(Network.parse("192.0.2.1")).orElseThrow().getValue();
            assertEquals(new Position(40.71, -74.01), found);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"192.0.2.0/24,1", "192.0.2.0/24,91,0", "192.0.2.0/24,0,-181", "192.0.2.0/24,NaN,0", "192.0.2.0/24,x,0", "192.0.2.0/24,1,2,3"})
    void aPlaceThatIsNotOnEarthSpoilsTheFile(String line) {
        assertThrows(IllegalArgumentException.class, () -> NetworkFile.locations(List.of(line)));
    }
}
