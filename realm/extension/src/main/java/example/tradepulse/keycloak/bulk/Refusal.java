package example.tradepulse.keycloak.bulk;

import java.util.LinkedHashMap;
import java.util.Map;

import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;

/**
 * Why a request came to nothing: a stable code, a sentence, and the operation that is to blame where one is.
 *
 * <p>Thrown inside a transaction it rolls all of it back.
 */
final class Refusal extends RuntimeException {

    private static final long serialVersionUID = 1L;
    private static final int LONGEST = 500;

    private final int status;
    private final String code;
    private final int index;
    private final String ref;
    private final int inner;

    private Refusal(int status, String code, String message, int index, String ref, int inner, Throwable cause) {
        super(message.length() > LONGEST ? message.substring(0, LONGEST) : message, cause);
        this.status = status;
        this.code = code;
        this.index = index;
        this.ref = ref;
        this.inner = inner;
    }

    /** The request itself is not one that we take. */
    static Refusal malformed(String code, String message) {
        return new Refusal(400, code, message, -1, null, 0, null);
    }

    static Refusal tooLarge(String message) {
        return new Refusal(413, "too_large", message, -1, null, 0, null);
    }

    /** Something that concerns the whole request; {@code status} is that of the answer. */
    static Refusal of(int status, String code, String message) {
        return new Refusal(status, code, message, -1, null, 0, null);
    }

    /** One operation could not be carried out; {@code inner} is the status that the admin API would have answered. */
    static Refusal ofOperation(Operation operation, int inner, String code, String message, Throwable cause) {
        // A 404 of an operation must not look like the absence of this provider, and only one's own rights are a 403.
        int status = inner == 403 || inner == 409 || inner == 412 || inner >= 500 ? inner : 422;
        return new Refusal(status, code, message, operation.index(), operation.ref(), inner, cause);
    }

    int status() {
        return status;
    }

    String code() {
        return code;
    }

    /** The status that the admin API would have answered the operation with; 0 where none is to blame. */
    int inner() {
        return inner;
    }

    Response response() {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("error", code);
        body.put("message", getMessage());
        if (index >= 0) {
            body.put("operation", index);
            body.put("ref", ref);
            body.put("status", inner);
        }
        return Response.status(status).type(MediaType.APPLICATION_JSON_TYPE).entity(body).build();
    }
}
