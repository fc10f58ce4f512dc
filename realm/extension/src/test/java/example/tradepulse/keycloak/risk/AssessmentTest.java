package example.tradepulse.keycloak.risk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AssessmentTest {

    private static final long NOW = 1_800_000_000_000L;
    private static final long HOUR = 3_600_000L;
    private static final Policy ALL = Policy.parse("""
            {"device_posture":{"claim":"device_compliant","false":"deny","missing":"step_up"},
             "failed_mfa":{"action":"lock_and_alert","count":5,"window":600},
             "ip_deny_list":"networks","new_device":"step_up",
             "travel":{"action":"step_up","locations":"places","max_speed":1000,"min_distance":300}}""");
    private static final Lists LISTS = new Lists(
            Optional.of(NetworkFile.denyList(List.of("203.0.113.0/24", "203.0.113.128/25 deny"))),
            Optional.of(NetworkFile.locations(List.of("192.0.2.0/24,40.71,-74.01", "198.51.100.0/24,51.51,-0.13", "203.0.113.0/24,1.35,103.82"))));

    private static Signals signals(String address, Signals.Device device, Signals.Posture posture, int failures, String last, long ago) {
        return new Signals(
                Network.ofAddress(address), device, posture, Optional.of(new Signals.Failures(failures, NOW - 1)),
                last == null ? Optional.empty() : Optional.of(new Signals.Login(Network.ofAddress(last), NOW - ago)), true, NOW);
    }

    private static Signals ordinary() {
        return signals("192.0.2.1", Signals.Device.KNOWN, Signals.Posture.HEALTHY, 0, "192.0.2.9", HOUR);
    }

    private static Verdict verdict(Signals signals) {
        return Verdict.of(Assessment.of(ALL, signals, LISTS), Set.of());
    }

    @Test
    void anOrdinaryLoginHasNoReasonAgainstIt() {
        assertEquals(new Verdict(Outcome.ALLOW, List.of(), List.of()), verdict(ordinary()));
    }

    @ParameterizedTest
    @CsvSource({
        "203.0.113.5, KNOWN, HEALTHY, 0, step_up, network_listed",
        "203.0.113.200, KNOWN, HEALTHY, 0, deny, network_listed",
        "192.0.2.1, NEW, HEALTHY, 0, step_up, new_device",
        "192.0.2.1, NOT_JUDGED, NOT_JUDGED, 0, allow, ''",
        "192.0.2.1, KNOWN, MISSING, 0, step_up, posture_missing",
        "192.0.2.1, KNOWN, UNHEALTHY, 0, deny, posture_unhealthy",
        "192.0.2.1, KNOWN, HEALTHY, 4, allow, ''",
        "192.0.2.1, KNOWN, HEALTHY, 5, deny, failed_mfa",
        "not an address, KNOWN, HEALTHY, 0, step_up, address_unknown",
        "203.0.113.200, NEW, UNHEALTHY, 9, deny, 'failed_mfa,network_listed,new_device,posture_unhealthy'"
    })
    void everyReasonIsNamedAndTheWorstDecides(
            String address, Signals.Device device, Signals.Posture posture, int failures, String outcome, String codes) {
        Verdict verdict = verdict(signals(address, device, posture, failures, null, 0));
        assertEquals(outcome, verdict.outcome().word());
        assertEquals(codes, verdict.codes());
    }

    @ParameterizedTest
    @CsvSource({
        // New York to London is 5,570 km.
        "198.51.100.1, 192.0.2.1, 1, step_up",
        "198.51.100.1, 192.0.2.1, 5, step_up",
        "198.51.100.1, 192.0.2.1, 6, allow",
        "198.51.100.1, 192.0.2.1, -3, step_up",
        "198.51.100.1, 198.51.100.77, 0, allow",
        "100.64.0.1, 192.0.2.1, 0, allow",
        "198.51.100.1, 100.64.0.1, 0, allow"
    })
    void nobodyIsFasterThanAPlane(String here, String there, long hours, String outcome) {
        assertEquals(
                outcome,
                verdict(signals(here, Signals.Device.KNOWN, Signals.Posture.HEALTHY, 0, there, hours * HOUR)).outcome().word());
    }

    @Test
    void aFirstLoginHasTravelledNowhere() {
        assertEquals(Outcome.ALLOW, verdict(signals("198.51.100.1", Signals.Device.KNOWN, Signals.Posture.HEALTHY, 0, null, 0)).outcome());
    }

    @Test
    void whatCannotBeLookedAtAsksForAFactor() {
        Signals blind = new Signals(
                Network.ofAddress("192.0.2.1"), Signals.Device.KNOWN, Signals.Posture.HEALTHY, Optional.empty(), Optional.empty(), false, NOW);
        Verdict verdict = Verdict.of(Assessment.of(ALL, blind, new Lists(Optional.empty(), Optional.empty())), Set.of());
        assertEquals(Outcome.STEP_UP, verdict.outcome());
        assertEquals("history_unavailable,locations_unavailable,network_list_unavailable", verdict.codes());
    }

    @Test
    void whatThePolicyDoesNotNameIsNotJudged() {
        Signals worst = signals("203.0.113.200", Signals.Device.NEW, Signals.Posture.UNHEALTHY, 99, "192.0.2.1", 1);
        assertEquals(List.of(), Assessment.of(Policy.parse("{}"), worst, new Lists(Optional.empty(), Optional.empty())));
    }

    @Test
    void aSessionIsAskedOnceForEachReasonAndNeverTalkedOutOfADenial() {
        Signals odd = signals("203.0.113.5", Signals.Device.NEW, Signals.Posture.MISSING, 0, null, 0);
        List<Reason> reasons = Assessment.of(ALL, odd, LISTS);
        assertEquals(Outcome.STEP_UP, Verdict.of(reasons, Set.of("posture_missing:")).outcome());
        assertEquals(
                Outcome.ALLOW,
                Verdict.of(reasons, Set.of("posture_missing:", "network_listed:203.0.113.0/24", "new_device:")).outcome());
        Reason denied = new Reason(Reason.NETWORK_LISTED, Outcome.DENY, "203.0.113.128/25");
        assertEquals(Outcome.DENY, Verdict.of(List.of(denied), Set.of(denied.key())).outcome());
    }

    @Test
    void onlyWhoIsMerelyNewMayGoOnToRegisterAFirstFactorAlsoWhereTheirProviderSaysNothingOfDevices() {
        assertTrue(verdict(signals("192.0.2.1", Signals.Device.NEW, Signals.Posture.MISSING, 0, null, 0)).isForNewcomers());
        assertFalse(verdict(signals("203.0.113.5", Signals.Device.NEW, Signals.Posture.MISSING, 0, null, 0)).isForNewcomers());
        assertFalse(verdict(signals("192.0.2.1", Signals.Device.NEW, Signals.Posture.UNHEALTHY, 0, null, 0)).isForNewcomers());
        assertTrue(verdict(signals("192.0.2.1", Signals.Device.NEW, Signals.Posture.NOT_JUDGED, 0, null, 0)).isForNewcomers());
        assertFalse(verdict(signals("203.0.113.5", Signals.Device.NEW, Signals.Posture.NOT_JUDGED, 0, null, 0)).isForNewcomers());
        assertFalse(verdict(ordinary()).isForNewcomers());
    }

    @ParameterizedTest
    @CsvSource({"true, HEALTHY", "false, UNHEALTHY", "TRUE, MISSING", "yes, MISSING", "'', MISSING", "[true], MISSING"})
    void aPostureThatIsNeitherTrueNorFalseIsMissing(String claim, Signals.Posture expected) {
        assertEquals(expected, Signals.Posture.of(claim));
        assertEquals(Signals.Posture.MISSING, Signals.Posture.of(null));
        assertEquals(Signals.Posture.HEALTHY, Signals.Posture.of(Boolean.TRUE));
    }

    @Test
    void aNoteOfAPostureThatNobodyHereWroteSaysNothingOfTheDevice() {
        assertEquals(Signals.Posture.NOT_JUDGED, Signals.Posture.kept(null));
        assertEquals(Signals.Posture.UNHEALTHY, Signals.Posture.kept("UNHEALTHY"));
        assertEquals(Signals.Posture.MISSING, Signals.Posture.kept("healthy, I swear"));
    }
}
