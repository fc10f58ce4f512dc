package example.tradepulse.keycloak.bulk;

import java.lang.annotation.Annotation;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Parameter;
import java.nio.charset.StandardCharsets;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import jakarta.ws.rs.DefaultValue;
import jakarta.ws.rs.NotFoundException;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.QueryParam;
import org.keycloak.services.util.ObjectMapperResolver;

/**
 * Calls Keycloak's own admin resources inside the server the way a request would: from the realm's resource along the
 * path, by their JAX-RS annotations. So their permission checks, validation and admin events are Keycloak's, not a copy.
 */
final class AdminCall {

    /** The mapper that Keycloak's REST layer uses. */
    static final ObjectMapper JSON = ObjectMapperResolver.createStreamSerializer();

    private AdminCall() {}

    /**
     * What the resource at a path answers: null, an entity or a Response. Throws what the resource throws,
     * NotFoundException where none matches, IOException for a body of the wrong shape.
     */
    static Object call(Object root, String verb, String path, Map<String, String> query, JsonNode body) throws IOException {
        Object resource = root;
        String rest = path;
        Map<String, String> variables = new HashMap<>();
        while (resource != null) {
            Step step = step(resource, verb, rest, variables);
            Object result = invoke(resource, step.route().method(), variables, query, body);
            if (step.route().verb() != null) {
                return result;
            }
            resource = result;
            rest = step.rest();
        }
        throw new NotFoundException();
    }

    private record Step(Route route, String rest) {}

    private static Step step(Object resource, String verb, String rest, Map<String, String> variables) {
        for (Route route : Route.of(resource.getClass())) {
            Matcher matcher = route.pattern().matcher(rest);
            if ((route.verb() == null || route.verb().equals(verb)) && matcher.matches()) {
                for (int group = 0; group < route.names().size(); group++) {
                    variables.put(route.names().get(group), Paths.decoded(matcher.group(group + 1)));
                }
                String left = route.verb() == null ? matcher.group("rest") : null;
                return new Step(route, left == null ? "" : left.substring(1));
            }
        }
        throw new NotFoundException("no such admin call");
    }

    private static Object invoke(
            Object resource, Method method, Map<String, String> variables, Map<String, String> query, JsonNode body) throws IOException {
        Parameter[] parameters = method.getParameters();
        Object[] arguments = new Object[parameters.length];
        for (int i = 0; i < parameters.length; i++) {
            arguments[i] = argument(parameters[i], variables, query, body);
        }
        try {
            return method.invoke(resource, arguments);
        } catch (InvocationTargetException problem) {
            if (problem.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            if (problem.getCause() instanceof Error cause) {
                throw cause;
            }
            throw new IOException(problem.getCause());
        } catch (IllegalAccessException problem) {
            throw new IllegalStateException(method + " cannot be called", problem);
        }
    }

    private static Object argument(Parameter parameter, Map<String, String> variables, Map<String, String> query, JsonNode body)
            throws IOException {
        PathParam variable = parameter.getAnnotation(PathParam.class);
        if (variable != null) {
            return variables.get(variable.value());
        }
        QueryParam asked = parameter.getAnnotation(QueryParam.class);
        if (asked != null) {
            DefaultValue otherwise = parameter.getAnnotation(DefaultValue.class);
            String text = query.getOrDefault(asked.value(), otherwise == null ? null : otherwise.value());
            return converted(text, parameter.getType());
        }
        for (Annotation annotation : parameter.getAnnotations()) {
            if (annotation.annotationType().getName().startsWith("jakarta.ws.rs.")) {
                throw new NotFoundException("no such admin call in a batch");
            }
        }
        return entity(parameter, body);
    }

    private static Object converted(String text, Class<?> type) {
        if (text == null) {
            return type == boolean.class ? (Object) false : type == int.class ? (Object) 0 : null;
        }
        if (type == boolean.class || type == Boolean.class) {
            return Boolean.valueOf(text);
        }
        if (type == int.class || type == Integer.class) {
            return Integer.valueOf(text);
        }
        if (type == long.class || type == Long.class) {
            return Long.valueOf(text);
        }
        return type == List.class ? List.of(text) : text;
    }

    private static Object entity(Parameter parameter, JsonNode body) throws IOException {
        if (parameter.getType() == String.class) {
            // A resource that takes text gets the body's own characters, quotes included.
            return body == null ? "" : JSON.writeValueAsString(body);
        }
        if (parameter.getType() == InputStream.class) {
            return new ByteArrayInputStream(body == null ? new byte[0] : JSON.writeValueAsString(body).getBytes(StandardCharsets.UTF_8));
        }
        return body == null || body.isNull()
                ? null
                : JSON.readerFor(JSON.constructType(parameter.getParameterizedType())).readValue(body);
    }
}
