package example.tradepulse.keycloak.bulk;

import java.util.Map;
import java.util.Set;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * One admin call of a batch, as it arrived.
 *
 * @param index its place in the batch, from zero
 * @param ref what the caller calls the object that it changes; only for messages
 * @param method POST, PUT or DELETE
 * @param path relative to the realm, percent-encoded; may hold placeholders
 * @param query decoded
 * @param body JSON, or null; may hold placeholders in strings
 * @param seen fields that a GET of the same path must still answer with, or null
 * @param tolerate statuses that count as done: 404 of a DELETE for what is already gone, 409 of a POST for what is there
 */
record Operation(
        int index,
        String ref,
        String method,
        String path,
        Map<String, String> query,
        JsonNode body,
        JsonNode seen,
        Set<Integer> tolerate) {}
