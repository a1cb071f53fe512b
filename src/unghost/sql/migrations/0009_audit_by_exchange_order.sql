-- Which rows of ours stand for an order of the exchange: asked by each cycle that has fills before it.

CREATE INDEX reconciliation_backfill_audit_exchange_order
    ON reconciliation_backfill_audit (exchange_order_id)
    WHERE backfill_order_id IS NOT NULL AND exchange_order_id IS NOT NULL;
CREATE INDEX reconciliation_backfill_audit_client_order
    ON reconciliation_backfill_audit (exchange_client_order_id)
    WHERE backfill_order_id IS NOT NULL AND exchange_client_order_id IS NOT NULL;
