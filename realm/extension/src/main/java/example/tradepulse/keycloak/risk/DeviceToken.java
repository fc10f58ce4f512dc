package example.tradepulse.keycloak.risk;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;

import org.keycloak.Token;
import org.keycloak.TokenCategory;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;

/**
 * What a browser carries to be recognised: for which accounts a second factor was proved in it, and when. Signed with the
 * realm's key for its own use, so it is made by nobody else and for no other realm; the accounts are named by digests.
 * Public because Jackson and Keycloak's token manager build it.
 */
@JsonIgnoreProperties(ignoreUnknown = true)
public final class DeviceToken implements Token {

    static final String TYPE = "tradepulse-device";
    /** Longer than a certification period nobody is remembered. */
    static final long LIFETIME_SECONDS = 90L * 24 * 3600;
    private static final int MOST_ACCOUNTS = 8;

    /** Tells it from every other token that the realm signs. */
    @JsonProperty("typ")
    String type = TYPE;

    /** Seconds since 1970 at which a factor was last proved, by the account's digest. */
    @JsonProperty("known")
    Map<String, Long> known = new LinkedHashMap<>();

    @Override
    @JsonIgnore
    public TokenCategory getCategory() {
        return TokenCategory.INTERNAL;
    }

    /**
     * Whether it vouches for an account.
     *
     * @param notBefore seconds since 1970: an administrator who logs a person out everywhere sets it, and forgets the
     *     devices by that
     */
    boolean knows(String userId, long notBefore, long now) {
        Long since = TYPE.equals(type) && known != null ? known.get(digest(userId)) : null;
        return since != null && since >= notBefore && since <= now && now - since < LIFETIME_SECONDS;
    }

    /** This one with one more account, or with a newer time; the accounts proved longest ago make room. */
    DeviceToken with(String userId, long now) {
        Map<String, Long> all = new LinkedHashMap<>(TYPE.equals(type) && known != null ? known : Map.of());
        all.values().removeIf(time -> time == null || now - time >= LIFETIME_SECONDS);
        all.put(digest(userId), now);
        DeviceToken next = new DeviceToken();
        all.entrySet().stream()
                .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
                .limit(MOST_ACCOUNTS)
                .forEach(entry -> next.known.put(entry.getKey(), entry.getValue()));
        return next;
    }

    private static String digest(String userId) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(("tradepulse-device " + userId).getBytes(StandardCharsets.UTF_8));
            return Base64.getUrlEncoder().withoutPadding().encodeToString(hash).substring(0, 22);
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java has SHA-256", impossible);
        }
    }
}
