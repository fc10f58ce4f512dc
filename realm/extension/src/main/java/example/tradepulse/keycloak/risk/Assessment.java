package example.tradepulse.keycloak.risk;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Every reason that a policy finds in what is known: pure, and each part on its own, so that none hides another. */
final class Assessment {

    private static final double MILLISECONDS_PER_HOUR = 3_600_000.0;

    private final Policy policy;
    private final Signals signals;
    private final Lists lists;
    private final List<Reason> reasons = new ArrayList<>();

    private Assessment(Policy policy, Signals signals, Lists lists) {
        this.policy = policy;
        this.signals = signals;
        this.lists = lists;
    }

    static List<Reason> of(Policy policy, Signals signals, Lists lists) {
        Assessment assessment = new Assessment(policy, signals, lists);
        policy.networks().ifPresent(file -> assessment.networks());
        policy.newDevice().ifPresent(assessment::device);
        policy.posture().ifPresent(assessment::posture);
        policy.failedMfa().ifPresent(assessment::failedMfa);
        policy.travel().ifPresent(assessment::travel);
        return assessment.reasons.stream().distinct().toList();
    }

    private void networks() {
        if (lists.networks().isEmpty()) {
            add(Reason.NETWORK_LIST_UNAVAILABLE, Outcome.STEP_UP);
        } else if (signals.address().isEmpty()) {
            add(Reason.ADDRESS_UNKNOWN, Outcome.STEP_UP);
        } else {
            lists.networks().get().around(signals.address().get())
                    .filter(found -> found.getValue() != Outcome.ALLOW)
                    .ifPresent(found -> add(Reason.NETWORK_LISTED, found.getValue(), found.getKey().toString()));
        }
    }

    private void device(Outcome action) {
        if (signals.device() == Signals.Device.NEW) {
            add(Reason.NEW_DEVICE, action);
        }
    }

    private void posture(Policy.Posture rule) {
        switch (signals.posture()) {
            case UNHEALTHY -> add(Reason.POSTURE_UNHEALTHY, rule.unhealthy());
            case MISSING -> add(Reason.POSTURE_MISSING, rule.missing());
            default -> { }
        }
    }

    private void failedMfa(Policy.FailedMfa rule) {
        if (signals.failures().isEmpty()) {
            add(Reason.HISTORY_UNAVAILABLE, Outcome.STEP_UP);
        } else if (signals.failures().get().count() >= rule.count()) {
            add(Reason.FAILED_MFA, rule.action(), String.valueOf(signals.failures().get().newest()));
        }
    }

    private void travel(Policy.Travel rule) {
        if (lists.locations().isEmpty()) {
            add(Reason.LOCATIONS_UNAVAILABLE, Outcome.STEP_UP);
        } else if (signals.address().isEmpty()) {
            add(Reason.ADDRESS_UNKNOWN, Outcome.STEP_UP);
        } else if (!signals.historyKept()) {
            add(Reason.HISTORY_UNAVAILABLE, Outcome.STEP_UP);
        } else if (signals.lastLogin().isPresent() && isTooFast(rule, signals.lastLogin().get())) {
            add(Reason.TRAVEL, rule.action(), where(signals.address()).orElseThrow().getKey().toString());
        }
    }

    private boolean isTooFast(Policy.Travel rule, Signals.Login last) {
        Optional<Map.Entry<Network, Position>> here = where(signals.address());
        Optional<Map.Entry<Network, Position>> there = where(last.address());
        if (here.isEmpty() || there.isEmpty()) {
            // The file is coarse on purpose: where it says nothing there is nothing to compare.
            return false;
        }
        double distance = there.get().getValue().kilometresTo(here.get().getValue());
        // A clock that was set back makes no journey slower than it was.
        double hours = Math.max(0, signals.now() - last.time()) / MILLISECONDS_PER_HOUR;
        return distance > rule.minDistance() && distance > rule.maxSpeed() * hours;
    }

    private Optional<Map.Entry<Network, Position>> where(Optional<Network> address) {
        return address.flatMap(network -> lists.locations().orElseThrow().around(network));
    }

    private void add(String code, Outcome outcome) {
        add(code, outcome, "");
    }

    private void add(String code, Outcome outcome, String subject) {
        reasons.add(new Reason(code, outcome, subject));
    }
}
