-- Counters that all processes of the service add to, each of which only rises: calls to an exchange and
-- their errors, and how long cycles took. What the loop had counted of its calls moves in here.

CREATE TABLE reconciliation_figure (
    profile_id  text NOT NULL,
    figure      text NOT NULL,
    label       text NOT NULL,
    part        text NOT NULL DEFAULT '',
    number      numeric NOT NULL CHECK (number >= 0),
    PRIMARY KEY (profile_id, figure, label, part)
);

INSERT INTO reconciliation_figure (profile_id, figure, label, number)
SELECT l.profile_id, 'exchange_calls', c.key, c.value::numeric
FROM reconciliation_loop AS l
CROSS JOIN LATERAL jsonb_each_text(l.calls) AS c;

ALTER TABLE reconciliation_loop DROP COLUMN calls;
