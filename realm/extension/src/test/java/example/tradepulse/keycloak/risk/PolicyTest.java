package example.tradepulse.keycloak.risk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Duration;
import java.util.Optional;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PolicyTest {

    @Test
    void whatAdminSyncWritesIsReadPartByPart() {
        Policy policy = Policy.parse("""
                {"device_posture":{"claim":"device_compliant","false":"deny","missing":"step_up"},\
                "failed_mfa":{"action":"lock_and_alert","count":5,"window":600},\
                "ip_deny_list":"configs/iam/risky_networks.txt","new_device":"step_up",\
                "travel":{"action":"step_up","locations":"places.csv","max_speed":1000,"min_distance":300}}""");
        assertEquals(
                new Policy(
                        Optional.of("configs/iam/risky_networks.txt"),
                        Optional.of(Outcome.STEP_UP),
                        Optional.of(new Policy.Posture("device_compliant", Outcome.STEP_UP, Outcome.DENY)),
                        Optional.of(new Policy.FailedMfa(5, Duration.ofMinutes(10), Outcome.DENY)),
                        Optional.of(new Policy.Travel("places.csv", 1000, 300, Outcome.STEP_UP))),
                policy);
    }

    @Test
    void anEmptyPolicyJudgesNothing() {
        assertEquals(
                new Policy(Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty()), Policy.parse("{}"));
    }

    @Test
    void aRealmWithoutPolicyHasNone() {
        assertThrows(IllegalArgumentException.class, () -> Policy.parse(null));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", "null", "[]", "{", "{} {}", "\"step_up\"",
        "{\"new_device\":\"maybe\"}",
        "{\"new_device\":null}",
        "{\"new_device\":\"allow\",\"new_device\":\"deny\"}",
        "{\"surprise\":1}",
        "{\"ip_deny_list\":\"\"}",
        "{\"ip_deny_list\":7}",
        "{\"device_posture\":\"step_up\"}",
        "{\"device_posture\":{\"claim\":\"x\",\"missing\":\"allow\"}}",
        "{\"device_posture\":{\"claim\":\"x\",\"missing\":\"allow\",\"false\":\"deny\",\"more\":1}}",
        "{\"failed_mfa\":{\"action\":\"deny\",\"count\":0,\"window\":600}}",
        "{\"failed_mfa\":{\"action\":\"deny\",\"count\":1.5,\"window\":600}}",
        "{\"travel\":{\"action\":\"deny\",\"locations\":\"x\",\"max_speed\":99999999999,\"min_distance\":1}}"
    })
    void whatIsNotUnderstoodIsNoPolicyAtAll(String text) {
        assertThrows(IllegalArgumentException.class, () -> Policy.parse(text));
    }
}
