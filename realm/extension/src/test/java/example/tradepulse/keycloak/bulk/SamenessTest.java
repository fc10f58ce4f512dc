package example.tradepulse.keycloak.bulk;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SamenessTest {

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "1 | 1 | true",
        "1 | 2 | false",
        "\"1\" | 1 | false",
        "[1,2] | [2,1] | true",
        "[1,1,2] | [2,1,2] | false",
        "{\"a\":1} | {\"a\":1,\"b\":null} | true",
        "{\"a\":{\"b\":[1]}} | {\"a\":{\"b\":[1,2]}} | false",
        "null | null | true",
        "{} | null | false",
    })
    void listsAreSetsAndNullIsAbsent(String one, String other, boolean same) throws JsonProcessingException {
        ObjectMapper mapper = new ObjectMapper();
        assertEquals(same, Sameness.of(mapper.readTree(one), mapper.readTree(other)));
    }
}
