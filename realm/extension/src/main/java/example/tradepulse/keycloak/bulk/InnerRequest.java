package example.tradepulse.keycloak.bulk;

import java.net.URI;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.core.MultivaluedHashMap;
import jakarta.ws.rs.core.MultivaluedMap;
import jakarta.ws.rs.core.PathSegment;
import jakarta.ws.rs.core.UriBuilder;
import jakarta.ws.rs.core.UriInfo;
import org.keycloak.http.FormPartValue;
import org.keycloak.http.HttpRequest;

/**
 * The request that an operation would have been on its own. Keycloak takes the resource path of an admin event and the
 * Location of what it creates from the address of the request, and that of the batch says nothing.
 */
final class InnerRequest implements HttpRequest {

    private final HttpRequest outer;
    private final String method;
    private final UriInfo uri;

    /**
     * @param path below the base, percent-encoded, such as {@code admin/realms/demo/users}
     * @param query decoded
     */
    InnerRequest(HttpRequest outer, String method, String path, Map<String, String> query) {
        this.outer = outer;
        this.method = method;
        this.uri = new InnerUri(outer.getUri().getBaseUri(), path, query);
    }

    @Override
    public String getHttpMethod() {
        return method;
    }

    @Override
    public MultivaluedMap<String, String> getDecodedFormParameters() {
        return new MultivaluedHashMap<>();
    }

    @Override
    public MultivaluedMap<String, FormPartValue> getMultiPartFormParameters() {
        return new MultivaluedHashMap<>();
    }

    @Override
    public HttpHeaders getHttpHeaders() {
        return outer.getHttpHeaders();
    }

    @Override
    public X509Certificate[] getClientCertificateChain() {
        return outer.getClientCertificateChain();
    }

    @Override
    public UriInfo getUri() {
        return uri;
    }

    @Override
    public boolean isProxyTrusted() {
        return outer.isProxyTrusted();
    }

    private record InnerUri(URI base, String path, MultivaluedMap<String, String> query) implements UriInfo {

        InnerUri(URI base, String path, Map<String, String> query) {
            this(base, path, new MultivaluedHashMap<>(query));
        }

        @Override
        public String getPath() {
            return getPath(true);
        }

        @Override
        public String getPath(boolean decode) {
            return "/" + (decode ? Paths.decoded(path) : path);
        }

        @Override
        public List<PathSegment> getPathSegments() {
            return getPathSegments(true);
        }

        @Override
        public List<PathSegment> getPathSegments(boolean decode) {
            return Arrays.stream(path.split("/")).<PathSegment>map(one -> new Segment(decode ? Paths.decoded(one) : one)).toList();
        }

        @Override
        public URI getRequestUri() {
            UriBuilder builder = getAbsolutePathBuilder();
            query.forEach((name, values) -> builder.queryParam(name, values.toArray()));
            return builder.build();
        }

        @Override
        public UriBuilder getRequestUriBuilder() {
            return UriBuilder.fromUri(getRequestUri());
        }

        @Override
        public URI getAbsolutePath() {
            String text = base.toString();
            return URI.create(text.endsWith("/") ? text + path : text + "/" + path);
        }

        @Override
        public UriBuilder getAbsolutePathBuilder() {
            return UriBuilder.fromUri(getAbsolutePath());
        }

        @Override
        public URI getBaseUri() {
            return base;
        }

        @Override
        public UriBuilder getBaseUriBuilder() {
            return UriBuilder.fromUri(base);
        }

        @Override
        public MultivaluedMap<String, String> getPathParameters() {
            return new MultivaluedHashMap<>();
        }

        @Override
        public MultivaluedMap<String, String> getPathParameters(boolean decode) {
            return new MultivaluedHashMap<>();
        }

        @Override
        public MultivaluedMap<String, String> getQueryParameters() {
            return query;
        }

        @Override
        public MultivaluedMap<String, String> getQueryParameters(boolean decode) {
            return query;
        }

        @Override
        public List<String> getMatchedURIs() {
            return List.of();
        }

        @Override
        public List<String> getMatchedURIs(boolean decode) {
            return List.of();
        }

        @Override
        public List<Object> getMatchedResources() {
            return List.of();
        }

        @Override
        public URI resolve(URI uri) {
            return base.resolve(uri);
        }

        @Override
        public URI relativize(URI uri) {
            return getRequestUri().relativize(uri);
        }
    }

    private record Segment(String text) implements PathSegment {

        @Override
        public String getPath() {
            return text;
        }

        @Override
        public MultivaluedMap<String, String> getMatrixParameters() {
            return new MultivaluedHashMap<>();
        }
    }
}
