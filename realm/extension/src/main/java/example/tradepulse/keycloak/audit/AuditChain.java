package example.tradepulse.keycloak.audit;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The hash chain of one source on one node: every record carries its number and the hash of the one before it.
 *
 * <p>{@code hash = hex(SHA-256(bytes(prev) ‖ canonical record without hash))}. The first record has number 1 and 64
 * zeros before it. Not thread-safe: the one writer owns it.
 */
final class AuditChain {

    static final String SOURCE = "keycloak";
    static final String GENESIS = "0".repeat(64);

    private final String node;
    private long sequence;
    private String previous;

    AuditChain(String node) {
        this(node, 0, GENESIS);
    }

    /** A chain that goes on after the record with this number and hash. */
    AuditChain(String node, long sequence, String previous) {
        this.node = node;
        this.sequence = sequence;
        this.previous = previous;
    }

    /** The next line of the chain, without a line end. */
    String link(Map<String, Object> event) {
        Map<String, Object> record = new LinkedHashMap<>(event);
        record.put("seq", sequence + 1);
        record.put("source", SOURCE);
        record.put("node", node);
        record.put("prev", previous);
        String hash = hash(previous, record);
        record.put("hash", hash);
        sequence++;
        previous = hash;
        return CanonicalJson.write(record);
    }

    String node() {
        return node;
    }

    long sequence() {
        return sequence;
    }

    static String hash(String previous, Map<String, Object> withoutHash) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            digest.update(HexFormat.of().parseHex(previous));
            digest.update(CanonicalJson.write(withoutHash).getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java platform has SHA-256", impossible);
        }
    }
}
