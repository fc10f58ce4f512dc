package example.tradepulse.keycloak.bulk;

import java.util.List;

import jakarta.persistence.EntityManager;

/**
 * Brings what an export is going to touch into the session with a handful of queries. A server that has just started has
 * none of it in its caches, and the export would fetch each role, group and client, and each one's attributes, by itself.
 */
final class Warming {

    private static final List<String> QUERIES = List.of(
            "select distinct r from RoleEntity r left join fetch r.attributes where r.realmId = :realm",
            "select distinct g from GroupEntity g left join fetch g.attributes where g.realm = :realm",
            "select distinct c from ClientEntity c left join fetch c.attributes where c.realmId = :realm",
            "select distinct c from ClientEntity c left join fetch c.protocolMappers where c.realmId = :realm");

    private Warming() {}

    static void of(EntityManager database, String realm) {
        for (String query : QUERIES) {
            database.createQuery(query).setParameter("realm", realm).getResultList();
        }
    }
}
