package example.tradepulse.keycloak.members;

import java.util.Map;

import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;

/** A no with a stable code, {@code {"error": "…", "message": "…"}}; whatever was done before it is undone. */
final class Refusal {

    private Refusal() {}

    static WebApplicationException of(int status, String code, String message) {
        return new WebApplicationException(message, Response.status(status)
                .type(MediaType.APPLICATION_JSON_TYPE).entity(Map.of("error", code, "message", message)).build());
    }
}
