package example.tradepulse.keycloak.bulk;

import java.lang.annotation.Annotation;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import jakarta.ws.rs.HttpMethod;
import jakarta.ws.rs.Path;

/**
 * One annotated method of one of Keycloak's resource classes, as JAX-RS reads it (Jakarta RESTful Web Services 3.1, 3.7).
 *
 * @param verb the HTTP method, or null for a locator of a sub-resource
 * @param pattern of the path, with a last group {@code rest} for what a locator leaves
 * @param names of the groups before that
 * @param literals characters of the template outside its variables: the more of them, the earlier a route is tried
 */
record Route(Method method, String verb, Pattern pattern, List<String> names, int literals) {

    private static final Map<Class<?>, List<Route>> KNOWN = new ConcurrentHashMap<>();
    private static final Pattern VARIABLE = Pattern.compile("\\{\\s*([A-Za-z0-9_.-]+)\\s*(?::\\s*([^{}]+))?\\}");

    /** The routes of a class, the most specific first. */
    static List<Route> of(Class<?> type) {
        return KNOWN.computeIfAbsent(type, Route::read);
    }

    private static List<Route> read(Class<?> type) {
        List<Route> routes = new ArrayList<>();
        for (Method method : type.getMethods()) {
            String verb = verb(method);
            Path path = method.getAnnotation(Path.class);
            if (!method.isBridge() && (verb != null || path != null)) {
                routes.add(compile(method, verb, path == null ? "" : path.value()));
            }
        }
        routes.sort(Comparator.comparingInt(Route::literals)
                .thenComparing(route -> route.names().size())
                .reversed()
                .thenComparing(route -> route.verb() == null));
        return List.copyOf(routes);
    }

    private static Route compile(Method method, String verb, String template) {
        String path = template.replaceAll("^/+|/+$", "");
        StringBuilder pattern = new StringBuilder();
        List<String> names = new ArrayList<>();
        Matcher variable = VARIABLE.matcher(path);
        int end = 0;
        int literals = 0;
        while (variable.find()) {
            pattern.append(Pattern.quote(path.substring(end, variable.start())));
            literals += variable.start() - end;
            pattern.append('(').append(variable.group(2) == null ? "[^/]+" : variable.group(2).replace("(", "(?:")).append(')');
            names.add(variable.group(1));
            end = variable.end();
        }
        pattern.append(Pattern.quote(path.substring(end)));
        literals += path.length() - end;
        pattern.append(verb == null ? "(?<rest>/.*)?" : "/?");
        return new Route(method, verb, Pattern.compile(pattern.toString()), List.copyOf(names), literals);
    }

    private static String verb(Method method) {
        return Arrays.stream(method.getAnnotations())
                .map(Annotation::annotationType)
                .flatMap(type -> Stream.ofNullable(type.getAnnotation(HttpMethod.class)))
                .map(HttpMethod::value)
                .findFirst()
                .orElse(null);
    }
}
