package example.tradepulse.keycloak.bulk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Map;

import com.fasterxml.jackson.databind.node.TextNode;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.DefaultValue;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.NotFoundException;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.QueryParam;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.keycloak.services.resources.admin.RealmAdminResource;

class RouteTest {

    /** A resource of every shape that Keycloak's have. */
    public static final class Sample {

        @GET
        public String whole() {
            return "whole";
        }

        @Path("{id}")
        public Inner inner(@PathParam("id") String id) {
            return new Inner(id);
        }

        @GET
        @Path("count")
        public String count(@QueryParam("n") @DefaultValue("7") int number) {
            return "count " + number;
        }

        @GET
        @Path("by-path/{path: .*}")
        public String byPath(@PathParam("path") String path) {
            return "path " + path;
        }
    }

    /** What a locator leads to. */
    public record Inner(String id) {

        @DELETE
        public void gone() {
            throw new IllegalStateException("gone " + id);
        }

        @POST
        @Path("{name}/said")
        public String said(@PathParam("name") String name, String body) {
            return id + " " + name + " " + body;
        }
    }

    private static Object call(String verb, String path) throws IOException {
        return AdminCall.call(new Sample(), verb, path, Map.of(), TextNode.valueOf("b"));
    }

    @Test
    void theMostSpecificRouteIsTaken() throws IOException {
        assertEquals("whole", call("GET", ""));
        assertEquals("count 7", call("GET", "count"));
        assertEquals("count 3", AdminCall.call(new Sample(), "GET", "count", Map.of("n", "3"), null));
        assertEquals("path a/b/c", call("GET", "by-path/a/b/c"));
    }

    @Test
    void locatorsLeadToTheirResourcesWithDecodedSegments() throws IOException {
        assertEquals("a/b c \"b\"", call("POST", "a%2Fb/c/said"));
        assertEquals("gone x", Assertions.assertThrows(IllegalStateException.class, () -> call("DELETE", "x")).getMessage());
    }

    @Test
    void whatNoRouteMatchesIsNotFound() {
        for (String path : new String[] {"x/y", "x/y/said/z", "count/1"}) {
            Assertions.assertThrows(NotFoundException.class, () -> call("PUT", path));
        }
    }

    @Test
    void keycloaksOwnRealmResourceHasTheAreasThatABatchMayName() {
        String templates = Route.of(RealmAdminResource.class).stream().map(route -> route.pattern().pattern()).toList().toString();
        for (String area : new String[] {"authentication", "client-policies/profiles", "client-scopes", "clients", "groups", "identity-provider", "organizations", "roles", "roles-by-id", "users"}) {
            assertTrue(templates.contains("\\Q" + area + "\\E"), area);
        }
    }
}
