-- The catalogue of a new shop: what is not there yet is added. Prices in cents. Answers how many products were added.
WITH wanted (position, sku, name, description, unit_amount, on_hand) AS (
    VALUES
        (0, 'pen', 'Pen', 'A brass ballpoint that outlives its refills.', 1000, 100000),
        (1, 'notebook', 'Notebook', '96 dotted pages, lies flat, forgives a lot.', 450, 50000),
        (2, 'pencil-set', 'Pencil set', 'Twelve graphite pencils from 6B to 4H.', 1250, 20000),
        (3, 'ink-bottle', 'Bottle of ink', '50 ml of blue-black, iron gall, for the long run.', 1400, 8000),
        (4, 'desk-lamp', 'Desk lamp', 'Warm light on a counterweighted arm.', 5900, 1500),
        (5, 'tote-bag', 'Tote bag', 'Heavy canvas; carries a week of notebooks.', 1800, 5000),
        (6, 'coffee-mug', 'Coffee mug', 'Stoneware, 300 ml, dishwasher-proof.', 1600, 6000),
        (7, 'limited-print', 'Limited print', 'A signed linocut. Ten were made, no more will be.', 12000, 10)
), added AS (
    INSERT INTO shop.products (sku, name, description, image, unit_amount, currency, on_hand, position)
    SELECT sku, name, description, '/static/products/' || sku || '.svg', unit_amount, 'usd', on_hand, position
      FROM wanted ORDER BY position
    ON CONFLICT (sku) DO NOTHING RETURNING sku, on_hand
), moved AS (
    INSERT INTO shop.stock_movements (sku, delta, cause) SELECT sku, on_hand, 'seed' FROM added WHERE on_hand > 0
)
SELECT count(*) FROM added
