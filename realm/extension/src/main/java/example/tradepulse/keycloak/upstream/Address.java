package example.tradepulse.keycloak.upstream;

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

import org.keycloak.util.JsonSerialization;

/**
 * Whether an identity provider may vouch for an e-mail address.
 *
 * <p>A grant names a person by e-mail, so whoever may say "this is trader.one@tradepulse.example" hands out what that
 * person has. A provider may say it of the domains that its settings list, each written out, and of no other.
 */
final class Address {

    /** The provider's setting: a JSON list of lower-case domains. */
    static final String DOMAINS = "tradepulse.email_domains";

    private static final String GOOGLE = "google";
    private static final String GOOGLE_MAIL = "gmail.com";

    private Address() {
    }

    /** Why a provider's word for an address is not taken. The text is the reason in the audit. */
    enum Refusal {
        MISSING("email_missing", "tradepulseAddressMissing"),
        NOT_VERIFIED("email_not_verified", "tradepulseAddressNotVerified"),
        CONTRADICTED("email_contradicted", "tradepulseAddressNotVouched"),
        NOT_VOUCHED("email_domain_not_vouched", "tradepulseAddressNotVouched"),
        TAKEN("email_of_another_account", "tradepulseAddressTaken");

        final String reason;
        final String message;

        Refusal(String reason, String message) {
            this.reason = reason;
            this.message = message;
        }
    }

    /**
     * Why the provider's word is not taken, empty if it is.
     *
     * @param email the address that the account would get, null for none
     * @param token the claims of the provider's ID token; whatever it says there must not say otherwise
     * @param profile {@code email_verified} in the provider's user info, null if it has none
     * @param domains the setting {@link #DOMAINS}, null for none
     * @param kind which implementation of a provider it is, for example {@code oidc}
     */
    static Optional<Refusal> refusal(String email, Map<String, Object> token, Object profile, String domains, String kind) {
        if (email == null || email.isBlank()) {
            return Optional.of(Refusal.MISSING);
        }
        if (isDenied(token.get("email_verified")) || isDenied(profile)) {
            return Optional.of(Refusal.NOT_VERIFIED);
        }
        if (token.get("email") instanceof String signed && !signed.equalsIgnoreCase(email)) {
            return Optional.of(Refusal.CONTRADICTED);
        }
        String domain = domain(email);
        boolean vouched = !domain.isEmpty() && listed(domains).contains(domain) && isGooglesToTell(kind, domain, token.get("hd"));
        return vouched ? Optional.empty() : Optional.of(Refusal.NOT_VOUCHED);
    }

    /** Some providers say nothing about verification, and their domains are theirs to tell; one that denies it is believed. */
    private static boolean isDenied(Object verified) {
        return verified != null && !"true".equalsIgnoreCase(String.valueOf(verified));
    }

    /** Empty for what is no address of one domain. */
    private static String domain(String email) {
        int at = email.indexOf('@');
        boolean one = at > 0 && at == email.lastIndexOf('@');
        return one ? email.substring(at + 1).toLowerCase(Locale.ROOT) : "";
    }

    /**
     * Google lets anybody have an account under an address of another mail host that they once could read. It is the
     * authority for its own mail, and for a domain that it hosts, which the claim {@code hd} says.
     */
    private static boolean isGooglesToTell(String kind, String domain, Object hosted) {
        return !GOOGLE.equals(kind) || GOOGLE_MAIL.equals(domain) || domain.equals(hosted);
    }

    private static Collection<?> listed(String domains) {
        try {
            List<?> read = domains == null ? null : JsonSerialization.readValue(domains, List.class);
            return read == null ? List.of() : read;
        } catch (IOException unreadable) {
            return List.of();
        }
    }
}
