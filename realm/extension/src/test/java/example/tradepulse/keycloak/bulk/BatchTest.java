package example.tradepulse.keycloak.bulk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BatchTest {

    private static final String NONCE = "0123456789abcdef0123456789abcdef";
    private static final String HEAD = "{\"protocol\":1,\"nonce\":\"" + NONCE + "\",\"names\":";

    private static Batch read(String text) {
        return Batch.read(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)));
    }

    private static Batch batch(String names, String... operations) {
        return read(HEAD + names + ",\"operations\":[" + String.join(",", operations) + "]}");
    }

    private static String operation(String more) {
        return "{\"ref\":\"r\",\"method\":\"POST\",\"path\":\"roles\"" + more + "}";
    }

    private static String place(int number) {
        return NONCE + "x" + number + "x";
    }

    @Test
    void aBatchOfGrantsAloneIsToldFromOneThatChangesWhatGivesThem() {
        String grant = operation("").replace("\"roles\"", "\"users/u/role-mappings/realm\"");
        assertFalse(batch("{}", grant, grant).changesMoreThanPeople());
        assertTrue(batch("{}", grant, operation("").replace("\"roles\"", "\"roles/r/composites\"")).changesMoreThanPeople());
        assertTrue(batch("{}", operation("").replace("\"POST\",\"path\":\"roles\"", "\"PUT\",\"path\":\"\"")).changesMoreThanPeople());
    }

    @Test
    void aBatchIsReadAsItWasWritten() {
        Operation only = batch("{}", operation(",\"query\":{\"a\":\"b\"},\"body\":{\"name\":\"x\"},\"tolerate\":[409]")).operations().get(0);
        assertEquals(0, only.index());
        assertEquals("b", only.query().get("a"));
        assertEquals("x", only.body().path("name").asText());
        assertEquals(Set.of(409), only.tolerate());
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "",
        "[]",
        "null",
        "{}{}",
        "{\"protocol\":1,\"protocol\":1}",
        "{\"protocol\":1,\"nonce\":\"short\",\"names\":{},\"operations\":[]}",
        HEAD + "[],\"operations\":[]}",
        HEAD + "{\"0\":{\"kind\":\"realm\",\"words\":[\"x\"]}},\"operations\":[]}",
        HEAD + "{\"0\":{\"kind\":\"role\",\"words\":[\"x\",\"y\"]}},\"operations\":[]}",
        HEAD + "{\"0\":{\"kind\":\"role\",\"words\":[1]}},\"operations\":[]}",
        HEAD + "{},\"operations\":{}}",
        HEAD + "{},\"operations\":[{}]}",
        HEAD + "{},\"operations\":[{\"ref\":\"r\",\"method\":\"GET\",\"path\":\"users\"}]}",
        HEAD + "{},\"operations\":[{\"ref\":\"r\",\"method\":\"PUT\",\"path\":\"users/../x\"}]}",
        HEAD + "{},\"operations\":[{\"ref\":\"r\",\"method\":\"PUT\",\"path\":\"users/x\",\"tolerate\":[403]}]}",
        HEAD + "{},\"operations\":[{\"ref\":\"r\",\"method\":\"PUT\",\"path\":\"users/x\",\"tolerate\":[409]}]}",
        HEAD + "{},\"operations\":[{\"ref\":\"r\",\"method\":\"DELETE\",\"path\":\"users/x\",\"tolerate\":[409]}]}",
        HEAD + "{},\"operations\":[{\"ref\":\"r\",\"method\":\"PUT\",\"path\":\"users/x\",\"seen\":[]}]}",
    })
    void whatIsNotABatchIsRefused(String text) {
        assertEquals(400, assertThrows(Refusal.class, () -> read(text)).status());
    }

    @Test
    void moreThanATransactionHoldsIsRefused() {
        List<String> many = Collections.nCopies(Limits.OPERATIONS + 1, operation(""));
        assertEquals(413, assertThrows(Refusal.class, () -> batch("{}", many.toArray(String[]::new))).status());
        String large = operation(",\"body\":\"" + "x".repeat(Limits.BYTES) + "\"");
        assertEquals(413, assertThrows(Refusal.class, () -> batch("{}", large)).status());
    }

    @Test
    void placeholdersBecomeIdsAndOtherTextStays() {
        Batch batch = batch(
                "{\"0\":{\"kind\":\"operation\",\"words\":[\"0\"]},\"1\":{\"kind\":\"role\",\"words\":[\"viewer\"]},\"2\":{\"kind\":\"id\",\"words\":[\"known\"]}}",
                operation(""),
                operation(",\"body\":[{\"id\":\"" + place(1) + "\",\"n\":1,\"text\":\"x1x " + place(0) + "\"},\"" + place(2) + "\"]"));
        Placeholders placeholders = new Placeholders(batch, name -> Optional.of("id of " + name));
        Operation first = batch.operations().get(0);
        Operation second = batch.operations().get(1);
        placeholders.created(first, "made");
        assertEquals("users/made/x", placeholders.resolved(second, "users/" + place(0) + "/x"));
        assertEquals(
                "[{\"id\":\"id of role viewer\",\"n\":1,\"text\":\"x1x made\"},\"known\"]",
                placeholders.resolved(second, second.body()).toString());
    }

    @Test
    void aNameThatLeadsNowhereIsRefusedWithItsOperation() {
        Batch batch = batch(
                "{\"0\":{\"kind\":\"operation\",\"words\":[\"1\"]},\"1\":{\"kind\":\"role\",\"words\":[\"none\"]},\"2\":{\"kind\":\"id\",\"words\":[\"../x\"]}}",
                operation(""));
        Placeholders placeholders = new Placeholders(batch, name -> Optional.empty());
        for (int number : new int[] {0, 1, 3}) {
            Refusal refusal = assertThrows(Refusal.class, () -> placeholders.resolved(batch.operations().get(0), place(number)));
            assertEquals("unknown_name", refusal.code());
            assertEquals(422, refusal.status());
        }
        assertEquals("malformed", assertThrows(Refusal.class, () -> placeholders.resolved(batch.operations().get(0), place(2))).code());
    }
}
