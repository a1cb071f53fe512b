-- Fills that people brought as an exchange's export file: what the file says, and what was stated.

CREATE TABLE reconciliation_fill_file (
    file_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile_id   text NOT NULL,
    file_name    text NOT NULL,
    sha256       text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    kind         text NOT NULL,
    zone         text NOT NULL,
    actor        text NOT NULL,
    imported_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    window_from  timestamptz,
    window_to    timestamptz,
    one_way      boolean NOT NULL DEFAULT false,
    UNIQUE (profile_id, sha256),
    CHECK ((window_from IS NULL) = (window_to IS NULL)),
    CHECK (window_from < window_to)
);

CREATE TABLE reconciliation_file_fill (
    file_id            bigint NOT NULL REFERENCES reconciliation_fill_file (file_id),
    line               integer NOT NULL CHECK (line > 0),
    symbol             text NOT NULL,
    side               text NOT NULL CHECK (side IN ('buy', 'sell')),
    position_side      text CHECK (position_side IN ('long', 'short')),
    quantity           numeric NOT NULL CHECK (quantity > 0),
    in_contracts       boolean NOT NULL,
    price              numeric NOT NULL CHECK (price > 0),
    fees               jsonb,
    filled_at          timestamptz NOT NULL,
    fill_id            text,
    exchange_order_id  text,
    digest             text NOT NULL,
    PRIMARY KEY (file_id, line)
);

CREATE INDEX reconciliation_file_fill_symbol ON reconciliation_file_fill (symbol, file_id);
