-- Counters that all processes of the service add to, for the metrics.

-- name: add_figures
-- in one order for everybody: two processes that add to the same rows must not wait for each other
INSERT INTO reconciliation_figure AS f (profile_id, figure, label, part, number)
SELECT %(profile_id)s, a.figure, a.label, a.part, a.number
FROM unnest(
    %(figures)s::text[], %(labels)s::text[], %(parts)s::text[], %(numbers)s::numeric[]
) AS a (figure, label, part, number)
ORDER BY a.figure, a.label, a.part
ON CONFLICT (profile_id, figure, label, part) DO UPDATE
SET number = f.number + excluded.number;

-- name: figures
-- all that this release knows, as they stand
SELECT profile_id, figure, label, part, number
FROM reconciliation_figure
WHERE profile_id = ANY(%(profile_ids)s::text[]) AND figure = ANY(%(figures)s::text[])
ORDER BY profile_id, figure, label, part;
