package example.tradepulse.keycloak.risk;

/** A place on earth in degrees. */
record Position(double latitude, double longitude) {

    private static final double EARTH_RADIUS_KM = 6371.0;

    Position {
        if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180)) {
            throw new IllegalArgumentException("no such place on earth");
        }
    }

    /** Along a great circle (haversine), good to half a percent: far finer than where a network is known to be. */
    double kilometresTo(Position other) {
        double north = Math.toRadians(other.latitude - latitude);
        double east = Math.toRadians(other.longitude - longitude);
        double root = Math.pow(Math.sin(north / 2), 2)
                + Math.cos(Math.toRadians(latitude)) * Math.cos(Math.toRadians(other.latitude)) * Math.pow(Math.sin(east / 2), 2);
        return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, root)));
    }
}
