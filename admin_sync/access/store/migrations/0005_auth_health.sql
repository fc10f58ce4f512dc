-- How logins go, in numbers: counts and measured values by steps of five minutes, and what people say about logging in.
-- No person is named in any of them but in `pulse_asked`, which has no answer in it.

-- What happened, by what and why. `seconds` is the sum of what was timed.
CREATE TABLE access.health_count (
    step         timestamptz      NOT NULL CHECK (extract(epoch FROM step)::bigint % 300 = 0),
    environment  text             NOT NULL CHECK (environment ~ '^[a-z][a-z0-9-]{0,31}$'),
    series       text             NOT NULL CHECK (series ~ '^[a-z][a-z_.]{0,31}$'),
    label        text             NOT NULL CHECK (length(label) BETWEEN 1 AND 64),
    count        bigint           NOT NULL DEFAULT 0 CHECK (count >= 0),
    seconds      double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (step, environment, series, label)
);

-- What was so at a time; the last value of a step stays.
CREATE TABLE access.health_level (
    step         timestamptz      NOT NULL CHECK (extract(epoch FROM step)::bigint % 300 = 0),
    environment  text             NOT NULL CHECK (environment ~ '^[a-z][a-z0-9-]{0,31}$'),
    series       text             NOT NULL CHECK (series ~ '^[a-z][a-z_.]{0,31}$'),
    value        double precision NOT NULL,
    PRIMARY KEY (step, environment, series)
);

-- How far each source was read: written with what was counted, so that nothing counts twice.
CREATE TABLE access.health_source (
    source       text        PRIMARY KEY CHECK (length(source) BETWEEN 1 AND 200),
    position     jsonb,
    seen_at      timestamptz NOT NULL DEFAULT now(),
    problem      text        CHECK (length(problem) BETWEEN 1 AND 200)
);

-- Who was asked how easy it was to log in, and on which day last: nobody is asked twice within some weeks.
CREATE TABLE access.pulse_asked (
    subject      text NOT NULL PRIMARY KEY CHECK (length(subject) BETWEEN 1 AND 255),
    asked_on     date NOT NULL
);

-- What was answered. It has a day and no time, and a name of its own that says nothing.
CREATE TABLE access.pulse_answer (
    id           uuid     PRIMARY KEY DEFAULT gen_random_uuid(),
    day          date     NOT NULL,
    audience     text     NOT NULL CHECK (audience IN ('staff', 'partner')),
    score        smallint NOT NULL CHECK (score BETWEEN 1 AND 5),
    words        text     CHECK (length(words) BETWEEN 1 AND 500)
);
CREATE INDEX pulse_answer_day ON access.pulse_answer (day);

REVOKE ALL ON access.health_count, access.health_level, access.health_source, access.pulse_asked, access.pulse_answer
    FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON access.health_count, access.health_level TO access_app;
GRANT SELECT, INSERT, UPDATE ON access.health_source, access.pulse_asked TO access_app;
-- An answer is never changed, and nobody takes one away.
GRANT SELECT, INSERT ON access.pulse_answer TO access_app;
-- The daily report as an operator makes it.
GRANT SELECT ON access.health_count, access.health_level, access.health_source, access.pulse_answer TO access_reconciler;
