package example.tradepulse.keycloak.bulk;

/** What one request may ask for. Clients read these from the capability and cut their work to fit. */
final class Limits {

    /** Raised when a client of today would misread an answer, or be misread. */
    static final int PROTOCOL = 1;

    /** Operations in one transaction. Hibernate looks at all that a transaction holds again and again, so more of them cost more each. */
    static final int OPERATIONS = 1000;

    /** Bytes of a request's body. */
    static final int BYTES = 8 << 20;

    private Limits() {}
}
