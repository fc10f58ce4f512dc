package example.tradepulse.keycloak.bypass;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import com.fasterxml.jackson.core.type.TypeReference;
import org.keycloak.credential.CredentialModel;
import org.keycloak.models.UserModel;
import org.keycloak.util.JsonSerialization;

/**
 * An approved emergency code on one account: it stands in for the second factor once, until its end.
 *
 * <p>It is kept as a stored credential of a type that no provider of Keycloak's handles: nobody registers one for
 * themselves, and none can be written through {@code PUT /users/<id>}. Once closed it stays until the next one comes, without
 * its verifiers, so that the same approval delivered twice is known.
 *
 * @param request the approved request, {@code REQ-<n>}
 * @param ends seconds since 1970 from which on it proves nothing
 * @param verifiers of the half that the person has kept since the request, and of the half that was handed to them;
 *     none once it is closed
 * @param failures wrong codes so far
 * @param closed null while it may be used; else {@code used}, {@code withdrawn} or {@code guessed}
 * @param earlier the ends of earlier requests that might still be delivered again
 */
record Bypass(
        String request, long ends, List<Verifier> verifiers, int failures, String closed, Map<String, Long> earlier) {

    /** The type of the credential, which events and the audit carry. Whoever has one is offered to use it. */
    static final String TYPE = "tradepulse-mfa-bypass";

    /** The type of one that is closed, which is no way to log in. */
    private static final String CLOSED_TYPE = TYPE + "-closed";

    /** Every type under which one is stored. */
    static final Set<String> TYPES = Set.of(TYPE, CLOSED_TYPE);

    static final String USED = "used";
    static final String WITHDRAWN = "withdrawn";
    static final String GUESSED = "guessed";

    /** As many wrong codes as passwords; then it is closed, because somebody else has the password. */
    private static final int MOST_FAILURES = 5;

    /** A fresh one. Throws IllegalArgumentException for other than two different verifiers. */
    static Bypass granted(String request, long ends, List<Verifier> verifiers, Map<String, Long> earlier) {
        if (verifiers.size() != 2 || verifiers.get(0).equals(verifiers.get(1))) {
            throw new IllegalArgumentException("an emergency code has two halves");
        }
        return new Bypass(request, ends, List.copyOf(verifiers), 0, null, Map.copyOf(earlier));
    }

    /** Whether it can stand in for a factor. */
    boolean isOpen(long now) {
        return closed == null && now < ends;
    }

    /** What it is for whoever asks: {@code open}, {@code ended}, {@code used}, {@code withdrawn} or {@code guessed}. */
    String state(long now) {
        if (closed != null) {
            return closed;
        }
        return now < ends ? "open" : "ended";
    }

    /** Whether both halves are right. Both are always compared. */
    boolean recognises(String own, String handed, String realm, String address) {
        boolean first = verifiers.get(0).recognises(own, realm, address);
        boolean second = verifiers.get(1).recognises(handed, realm, address);
        return first && second;
    }

    /** Closed for good; its verifiers are forgotten. */
    Bypass closed(String why) {
        return new Bypass(request, ends, List.of(), failures, why, earlier);
    }

    /** After one more wrong code. */
    Bypass failed() {
        Bypass counted = new Bypass(request, ends, verifiers, failures + 1, closed, earlier);
        return counted.failures < MOST_FAILURES ? counted : counted.closed(GUESSED);
    }

    /** Whether this request was granted on the account before, be it as the present one. */
    boolean knows(String another) {
        return request.equals(another) || earlier.containsKey(another);
    }

    /** The requests that a successor has to know, until they could not be granted again anyway. */
    Map<String, Long> remembered(long now) {
        Map<String, Long> known = new HashMap<>(earlier);
        known.put(request, ends);
        known.values().removeIf(end -> end <= now);
        return known;
    }

    /** The stored one of an account, open or not. */
    static Optional<CredentialModel> storedOf(UserModel user) {
        return user.credentialManager().getStoredCredentialsStream()
                .filter(one -> TYPES.contains(one.getType())).findFirst();
    }

    /** Reads a stored one; what is not of our making can be used by nobody. */
    static Bypass of(CredentialModel stored) {
        try {
            Map<String, Object> data = JsonSerialization.readValue(stored.getCredentialData(), new TypeReference<>() { });
            List<Verifier> verifiers = JsonSerialization.readValue(stored.getSecretData(), new TypeReference<>() { });
            Map<String, Long> earlier = new HashMap<>();
            ((Map<?, ?>) data.get("earlier")).forEach((request, end) -> earlier.put((String) request, ((Number) end).longValue()));
            boolean usable = verifiers.size() == 2;
            String closed = (String) data.get("closed");
            return new Bypass(
                    (String) data.get("request"), ((Number) data.get("ends")).longValue(), verifiers,
                    ((Number) data.get("failures")).intValue(), usable || closed != null ? closed : WITHDRAWN, earlier);
        } catch (IOException | RuntimeException unreadable) {
            return new Bypass("", 0, List.of(), 0, WITHDRAWN, Map.of());
        }
    }

    /** Which change of the account's code a stored one was. */
    static int turn(CredentialModel stored) {
        try {
            return JsonSerialization.readValue(stored.getCredentialData(), Map.class).get("turn") instanceof Integer number ? number : 0;
        } catch (IOException | RuntimeException unreadable) {
            return 0;
        }
    }

    /** As a credential to store under that id, as the account's change of that number. */
    CredentialModel stored(String id, int turn, long now) {
        Map<String, Object> data = new LinkedHashMap<>();
        data.put("turn", turn);
        data.put("request", request);
        data.put("ends", ends);
        data.put("failures", failures);
        data.put("closed", closed);
        data.put("earlier", earlier);
        CredentialModel model = new CredentialModel();
        model.setId(id);
        model.setType(closed == null ? TYPE : CLOSED_TYPE);
        model.setCreatedDate(now * 1000);
        try {
            model.setCredentialData(JsonSerialization.writeValueAsString(data));
            model.setSecretData(JsonSerialization.writeValueAsString(new ArrayList<>(verifiers)));
        } catch (IOException impossible) {
            throw new IllegalStateException("texts and numbers are JSON", impossible);
        }
        return model;
    }
}
