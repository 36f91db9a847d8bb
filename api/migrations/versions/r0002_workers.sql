CREATE TABLE workers (
    name TEXT NOT NULL,
    host TEXT NOT NULL,
    process_id INTEGER NOT NULL,
    hardware_class TEXT NOT NULL,
    verifier_version TEXT NOT NULL,
    keyid TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    heard_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_workers PRIMARY KEY (name)
);

UPDATE events SET detail = regexp_replace(detail, '[^ ,]+/[0-9]+', 'a worker', 'g')
WHERE detail ~ '/[0-9]+';

UPDATE jobs SET
    worker = 'a worker',
    lost_workers = array_fill('a worker'::text, ARRAY[cardinality(lost_workers)]),
    message = CASE code WHEN 'worker-lost' THEN regexp_replace(message, '[^ ,]+/[0-9]+', 'a worker', 'g') ELSE message END
WHERE worker IS NOT NULL;
