package example.tradepulse.keycloak.risk;

/** What somebody who is refused is told: which thing is in the way, and what to do next. */
final class Pages {

    private Pages() {
    }

    /** The key of the message for a reason's code. */
    static String message(String code) {
        return switch (code) {
            case Reason.NETWORK_LISTED -> "tradepulseRiskNetwork";
            case Reason.POSTURE_UNHEALTHY, Reason.POSTURE_MISSING -> "tradepulseRiskPosture";
            case Reason.FAILED_MFA -> "tradepulseRiskFailedMfa";
            case Reason.TRAVEL -> "tradepulseRiskTravel";
            case Reason.NEW_DEVICE -> "tradepulseRiskNewDevice";
            default -> "tradepulseRiskFactorNeeded";
        };
    }
}
