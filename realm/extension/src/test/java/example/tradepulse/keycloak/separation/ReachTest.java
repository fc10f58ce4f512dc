package example.tradepulse.keycloak.separation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.junit.jupiter.api.Test;

class ReachTest {

    private static final Rules RULES = Rules.of("""
            {"exceptions":[],"rules":[{"name":"build-or-run","roles":["quant","trader"]},{"name":"desk","roles":["quant","partner-trader"]}]}""");

    /** Tables in memory: the id of a thing is its name with a sign of its kind before it. */
    private record World(
            Map<String, Set<String>> composites, Map<String, Set<String>> roles, Map<String, Set<String>> subgroups, Map<String, Reach.Inside> partners)
            implements Reach.Tables {

        @Override
        public Map<String, String> named(Collection<String> names) {
            Map<String, String> found = new HashMap<>();
            names.stream().filter(name -> !name.startsWith("partner-")).forEach(name -> found.put(name, "r:" + name));
            return found;
        }

        @Override
        public Map<String, Set<String>> including(Collection<String> ids) {
            return some(composites, ids);
        }

        @Override
        public Map<String, Set<String>> having(Collection<String> ids) {
            return some(roles, ids);
        }

        @Override
        public Map<String, Set<String>> within(Collection<String> ids) {
            return some(subgroups, ids);
        }

        @Override
        public Map<String, Reach.Inside> ofPartners(Collection<String> names) {
            Map<String, Reach.Inside> found = new HashMap<>(partners);
            found.values().removeIf(inside -> !names.contains(inside.role()));
            return found;
        }

        private static Map<String, Set<String>> some(Map<String, Set<String>> all, Collection<String> ids) {
            Map<String, Set<String>> found = new HashMap<>(all);
            found.keySet().retainAll(Set.copyOf(ids));
            return found;
        }
    }

    private static final World WORLD = new World(
            Map.of("r:trader", Set.of("r:lead"), "r:lead", Set.of("r:head"), "r:head", Set.of("r:lead"), "r:quant", Set.of("r:all"), "r:head2", Set.of()),
            Map.of("r:head", Set.of("g:heads"), "r:quant", Set.of("g:research")),
            Map.of("g:heads", Set.of("g:heads/night"), "g:heads/night", Set.of("g:heads/night/deep"), "g:acme", Set.of("g:acme/until-9")),
            Map.of("g:acme", new Reach.Inside("acme", "partner-trader"), "g:odd", new Reach.Inside("acme", "trader")));

    private final Reach reach = Reach.of(RULES.names(), WORLD);

    @Test
    void aCompositeGivesWhatItIncludesHoweverDeepAndInACycle() {
        assertEquals(Set.of("trader"), reach.roles().get("r:head"));
        assertEquals(Set.of("trader"), reach.roles().get("r:lead"));
    }

    @Test
    void aGroupGivesItsRolesToItsSubgroups() {
        assertTrue(reach.gives("g:heads/night/deep", List.of("trader")));
        assertFalse(reach.gives("g:heads/night/deep", List.of("quant")));
    }

    @Test
    void whatGivesNoneOfTheRolesConcernsNoRule() {
        assertFalse(reach.concernsRole("r:viewer"));
        assertFalse(reach.concernsGroup("g:viewers"));
    }

    @Test
    void aRoleAndAGroupMeetInOnePerson() {
        assertFalse(reach.held(List.of("r:all"), List.of("g:heads/night")).breaks(RULES, null, Instant.now()).isEmpty());
        assertTrue(reach.held(List.of("r:all"), List.of("g:research")).breaks(RULES, null, Instant.now()).isEmpty());
    }

    @Test
    void aRoleInsideAPartnerMeetsThoseOnThePlatform() {
        assertEquals("desk", reach.held(List.of("r:quant"), List.of("g:acme")).breaks(RULES, null, Instant.now()).iterator().next().rule());
    }

    @Test
    void aRoleThatIsLentInsideAPartnerIsOne() {
        assertTrue(reach.gives("g:acme/until-9", List.of("partner-trader")));
        assertFalse(reach.held(List.of("r:quant"), List.of("g:acme/until-9")).breaks(RULES, null, Instant.now()).isEmpty());
    }

    @Test
    void aGroupOfAPartnerThatIsCalledLikeARoleOfThePlatformGivesNothing() {
        assertFalse(reach.concernsGroup("g:odd"));
        assertTrue(reach.held(List.of("r:quant"), List.of("g:odd")).breaks(RULES, null, Instant.now()).isEmpty());
    }
}
