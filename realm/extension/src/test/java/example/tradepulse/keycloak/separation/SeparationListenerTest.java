package example.tradepulse.keycloak.separation;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.keycloak.events.admin.OperationType;

class SeparationListenerTest {

    @ParameterizedTest
    @CsvSource({
        "REALM_ROLE,         CREATE, roles-by-id/1/composites,                     true",
        "CLIENT_ROLE,        CREATE, clients/1/roles/x/composites,                 true",
        "REALM_ROLE,         DELETE, roles-by-id/1/composites,                     false",
        "REALM_ROLE,         CREATE, roles/x,                                      false",
        "REALM_ROLE_MAPPING, CREATE, groups/1/role-mappings/realm,                 true",
        "CLIENT_ROLE_MAPPING, CREATE, groups/1/role-mappings/clients/2,            true",
        "REALM_ROLE_MAPPING, CREATE, organizations/1/groups/2/role-mappings/realm, true",
        "REALM_ROLE_MAPPING, CREATE, users/1/role-mappings/realm,                  false",
        "GROUP,              UPDATE, groups/1/children,                            true",
        "GROUP,              CREATE, groups/1,                                     false",
        "ORGANIZATION_GROUP, UPDATE, organizations/1/groups/2,                     true",
        "USER,               UPDATE, users/1,                                      false"})
    void onlyWhatGivesPeopleARoleWithoutNamingThemIsLookedAt(String type, OperationType operation, String path, boolean widens) {
        assertEquals(widens, SeparationListener.widens(type, operation, path));
    }

    @ParameterizedTest
    @CsvSource({
        "REALM_ROLE,         CREATE, true",
        "CLIENT_ROLE,        CREATE, true",
        "GROUP,              CREATE, true",
        "ORGANIZATION_GROUP, CREATE, true",
        "REALM_ROLE,         DELETE, false",
        "USER,               CREATE, false"})
    void whatIsNewIsReadBeforeSomebodyGetsIt(String type, OperationType operation, boolean makes) {
        assertEquals(makes, SeparationListener.makes(type, operation));
    }
}
