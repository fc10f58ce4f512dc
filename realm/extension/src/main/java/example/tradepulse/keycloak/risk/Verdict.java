package example.tradepulse.keycloak.risk;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What becomes of a login, and why.
 *
 * @param outcome the worst that a reason demands which this session has not answered for yet
 * @param reasons all of them, also those that demand nothing
 * @param open those that demand something now
 */
record Verdict(Outcome outcome, List<Reason> reasons, List<Reason> open) {

    /** Reasons that say that something is not known, and nothing against anybody. */
    private static final Set<String> UNKNOWN = Set.of(Reason.NEW_DEVICE, Reason.POSTURE_MISSING);

    /**
     * @param answered keys of reasons that a factor was proved for in this session already: asked once, not at every
     *     client that the person opens. A denial is never answered for
     */
    static Verdict of(List<Reason> reasons, Set<String> answered) {
        List<Reason> open = reasons.stream()
                .filter(reason -> reason.outcome() == Outcome.DENY
                        || reason.outcome() == Outcome.STEP_UP && !answered.contains(reason.key()))
                .toList();
        Outcome outcome = open.stream().map(Reason::outcome).reduce(Outcome.ALLOW, Outcome::worse);
        return new Verdict(outcome, List.copyOf(reasons), open);
    }

    /**
     * Whether somebody without any factor may go on, to register the first: nothing is odd but that nobody knows them or
     * their device yet. A provider that never speaks of devices would otherwise let no newcomer in for good.
     */
    boolean isForNewcomers() {
        return outcome == Outcome.STEP_UP && open.stream().allMatch(reason -> UNKNOWN.contains(reason.code()));
    }

    /** The codes of all reasons in the order of their names. */
    String codes() {
        return reasons.stream().map(Reason::code).distinct().sorted().collect(Collectors.joining(","));
    }

    /** The gravest open reason, for whom a page explains it to. */
    Reason gravest() {
        return open.stream().reduce((first, next) -> next.outcome().compareTo(first.outcome()) > 0 ? next : first).orElseThrow();
    }
}
