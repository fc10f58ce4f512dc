package example.tradepulse.keycloak.bulk;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import com.fasterxml.jackson.core.JsonGenerator;
import example.tradepulse.keycloak.factor.Factor;
import jakarta.persistence.EntityManager;
import jakarta.persistence.Tuple;

/**
 * The accounts of a realm and what they belong to, by queries over whole tables: {@code users} in Keycloak's own
 * representation, then {@code role_members}, {@code group_members} and {@code linked_users} as lists of their ids, and
 * {@code second_factors} as the ids of those who hold one.
 *
 * <p>Accounts come in pages by id, so that a realm of any size takes the same memory.
 */
final class People {

    private static final int PAGE = 500;

    private final EntityManager database;
    private final String realm;

    People(EntityManager database, String realm) {
        this.database = database;
        this.realm = realm;
    }

    void write(JsonGenerator json) throws IOException {
        json.writeArrayFieldStart("users");
        String last = "";
        List<Tuple> page = accounts(last);
        while (!page.isEmpty()) {
            page(json, page);
            last = page.get(page.size() - 1).get("id", String.class);
            page = page.size() < PAGE ? List.of() : accounts(last);
        }
        json.writeEndArray();
        members(json, "role_members", "select m.roleId as place, m.user.id as person from UserRoleMappingEntity m"
                + " where m.user.realmId = :realm order by m.roleId, m.user.id");
        members(json, "group_members", "select m.groupId as place, m.user.id as person from UserGroupMembershipEntity m"
                + " where m.user.realmId = :realm order by m.groupId, m.user.id");
        members(json, "linked_users", "select f.identityProvider as place, f.user.id as person from FederatedIdentityEntity f"
                + " where f.user.realmId = :realm order by f.identityProvider, f.user.id");
        secondFactors(json);
    }

    /** Nothing of a credential but that it is there. */
    private void secondFactors(JsonGenerator json) throws IOException {
        json.writeArrayFieldStart("second_factors");
        try (var ids = database.createQuery("select distinct c.user.id from CredentialEntity c"
                        + " where c.user.realmId = :realm and c.type in :types order by c.user.id", String.class)
                .setParameter("realm", realm)
                .setParameter("types", Factor.credentialTypes())
                .getResultStream()) {
            for (String id : (Iterable<String>) ids::iterator) {
                json.writeString(id);
            }
        }
        json.writeEndArray();
    }

    private List<Tuple> accounts(String after) {
        return database.createQuery(
                        "select u.id as id, u.username as username, u.firstName as firstName, u.lastName as lastName,"
                                + " u.email as email, u.emailVerified as emailVerified, u.enabled as enabled,"
                                + " u.createdTimestamp as createdTimestamp, u.serviceAccountClientLink as client"
                                + " from UserEntity u where u.realmId = :realm and u.id > :after order by u.id",
                        Tuple.class)
                .setParameter("realm", realm)
                .setParameter("after", after)
                .setMaxResults(PAGE)
                .getResultList();
    }

    private void page(JsonGenerator json, List<Tuple> accounts) throws IOException {
        List<String> ids = accounts.stream().map(account -> account.get("id", String.class)).toList();
        Map<String, Map<String, List<String>>> attributes = attributes(ids);
        Map<String, List<String>> actions = actions(ids);
        for (Tuple account : accounts) {
            String id = account.get("id", String.class);
            json.writeStartObject();
            for (String field : List.of("id", "username", "firstName", "lastName", "email")) {
                if (account.get(field) != null) {
                    json.writeStringField(field, account.get(field, String.class));
                }
            }
            json.writeBooleanField("emailVerified", account.get("emailVerified", Boolean.class));
            json.writeBooleanField("enabled", account.get("enabled", Boolean.class));
            if (account.get("createdTimestamp") != null) {
                json.writeNumberField("createdTimestamp", account.get("createdTimestamp", Long.class));
            }
            // The admin API's list of users leaves out the accounts of clients; this tells them apart.
            if (account.get("client") != null) {
                json.writeStringField("serviceAccountClientLink", account.get("client", String.class));
            }
            json.writeObjectField("requiredActions", actions.getOrDefault(id, List.of()));
            if (attributes.containsKey(id)) {
                json.writeObjectField("attributes", attributes.get(id));
            }
            json.writeEndObject();
        }
    }

    private Map<String, Map<String, List<String>>> attributes(List<String> ids) {
        Map<String, Map<String, List<String>>> found = new LinkedHashMap<>();
        List<Tuple> rows = database.createQuery(
                        "select a.user.id as person, a.name as name, coalesce(a.value, a.longValue) as text"
                                + " from UserAttributeEntity a where a.user.id in :ids order by a.user.id, a.name, a.id",
                        Tuple.class)
                .setParameter("ids", ids)
                .getResultList();
        for (Tuple row : rows) {
            found.computeIfAbsent(row.get("person", String.class), person -> new LinkedHashMap<>())
                    .computeIfAbsent(row.get("name", String.class), name -> new ArrayList<>())
                    .add(row.get("text", String.class));
        }
        return found;
    }

    private Map<String, List<String>> actions(List<String> ids) {
        Map<String, List<String>> found = new LinkedHashMap<>();
        List<Tuple> rows = database.createQuery(
                        "select r.user.id as person, r.action as action from UserRequiredActionEntity r"
                                + " where r.user.id in :ids order by r.user.id, r.action",
                        Tuple.class)
                .setParameter("ids", ids)
                .getResultList();
        for (Tuple row : rows) {
            found.computeIfAbsent(row.get("person", String.class), person -> new ArrayList<>()).add(row.get("action", String.class));
        }
        return found;
    }

    private void members(JsonGenerator json, String field, String query) throws IOException {
        json.writeObjectFieldStart(field);
        String place = null;
        try (var rows = database.createQuery(query, Tuple.class).setParameter("realm", realm).getResultStream()) {
            for (Tuple row : (Iterable<Tuple>) rows::iterator) {
                String here = row.get("place", String.class);
                if (!here.equals(place)) {
                    if (place != null) {
                        json.writeEndArray();
                    }
                    json.writeArrayFieldStart(here);
                    place = here;
                }
                json.writeString(row.get("person", String.class));
            }
        }
        if (place != null) {
            json.writeEndArray();
        }
        json.writeEndObject();
    }
}
