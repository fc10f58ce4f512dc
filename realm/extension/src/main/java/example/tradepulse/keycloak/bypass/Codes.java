package example.tradepulse.keycloak.bypass;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

import jakarta.persistence.EntityManager;
import jakarta.persistence.Tuple;
import org.keycloak.credential.CredentialModel;

/**
 * The emergency codes of a realm that can be used or were, by one query: for whoever holds them against what was approved.
 *
 * <p>It reads the database and no cache, so it sees what any node has opened.
 */
final class Codes {

    private Codes() {
    }

    static List<Map<String, Object>> of(EntityManager database, String realm, long now) {
        List<Tuple> rows = database.createQuery(
                        "select c.id as id, c.type as type, c.credentialData as data, c.secretData as secret, c.user.id as user,"
                                + " c.user.email as email, c.user.username as username from CredentialEntity c"
                                + " where c.user.realmId = :realm and c.type in :types order by c.user.id, c.id",
                        Tuple.class)
                .setParameter("realm", realm)
                .setParameter("types", Bypass.TYPES)
                .getResultList();
        return rows.stream().map(row -> one(row, now)).filter(one -> List.of("open", Bypass.USED).contains(one.get("state"))).toList();
    }

    /** What an account's code is told as; its verifiers only as the digest of both, by which nothing can be guessed sooner. */
    static Map<String, Object> told(Bypass code, long now) {
        return Map.of("request", code.request(), "ends", code.ends(), "state", code.state(now), "failures", code.failures(),
                "recognised_by", digest(code.verifiers()));
    }

    /** SHA-256 over both verifiers, in their order; empty where they are forgotten. As in admin_sync/bypass/code.py. */
    private static String digest(List<Verifier> verifiers) {
        if (verifiers.isEmpty()) {
            return "";
        }
        String text = verifiers.stream().map(one -> one.salt() + ":" + one.hash()).collect(Collectors.joining("\n"));
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.US_ASCII)));
        } catch (NoSuchAlgorithmException missing) {
            throw new IllegalStateException("SHA-256 is part of every Java", missing);
        }
    }

    private static Map<String, Object> one(Tuple row, long now) {
        CredentialModel stored = new CredentialModel();
        stored.setType(row.get("type", String.class));
        stored.setCredentialData(row.get("data", String.class));
        stored.setSecretData(row.get("secret", String.class));
        String email = row.get("email", String.class);
        return Map.of(
                "credential", row.get("id", String.class),
                "user", row.get("user", String.class),
                "address", email == null ? row.get("username", String.class) : email,
                "code", told(Bypass.of(stored), now),
                "state", Bypass.of(stored).state(now));
    }
}
