package example.tradepulse.keycloak.bulk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PathsTest {

    @ParameterizedTest
    @CsvSource({
        "POST, users",
        "PUT, users/id",
        "PUT, users/profile",
        "PUT, users/id/groups/id",
        "POST, users/id/role-mappings/clients/id",
        "POST, roles/odd%2Fname/composites",
        "DELETE, clients/id/optional-client-scopes/id",
        "POST, organizations/id/groups/id/role-mappings/realm",
        "PUT, organizations/id/groups/id/members/id",
        "POST, identity-provider/instances/alias/mappers",
        "POST, authentication/executions/id/config",
        "PUT, client-policies/profiles",
        "PUT, ''",
    })
    void whatAPlanNeedsIsTaken(String method, String path) {
        assertEquals(path, Paths.checked(path, "here"));
        assertTrue(Paths.taken(method, path));
    }

    @ParameterizedTest
    @CsvSource({
        "DELETE, ''",
        "GET, users",
        "POST, partialImport",
        "POST, partial-export",
        "POST, logout-all",
        "POST, components",
        "POST, users/id/logout",
        "POST, users/id/impersonation",
        "PUT, users/id/reset-password",
        "PUT, users/id/execute-actions-email",
        "DELETE, users/id/credentials/id",
        "POST, clients/id/client-secret",
        "POST, clients/id/push-revocation",
        "POST, organizations/id/members/invite-user",
        "POST, identity-provider/import-config",
        "POST, tradepulse-bulk/apply",
        "POST, usersx",
        "POST, roles/name/composites/more",
    })
    void everythingElseIsNot(String method, String path) {
        assertFalse(Paths.taken(method, path));
    }

    @ParameterizedTest
    @ValueSource(strings = {"/users", "users/", "a//b", "..", "a/../b", "a/%2e%2E/b", ".", "%2E", "a?b", "a#b", "a;b", "a b", "a\\b", "%00", "%0a", "%zz", "%"})
    void aPathWithTricksIsRefused(String path) {
        assertEquals("malformed", assertThrows(Refusal.class, () -> Paths.checked(path, "here")).code());
    }

    @ParameterizedTest
    @CsvSource({"a%2Fb, a/b", "a+b, a+b", "%C3%9C, Ü"})
    void aSegmentIsDecodedAsOne(String segment, String plain) {
        assertEquals(plain, Paths.decoded(segment));
    }
}
