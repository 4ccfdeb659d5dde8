"""The catalogue in pages, and a search in it, whatever its size; and pictures only from where pages may load them.

Neither index has a column that a sale changes: `on_hand` goes on being updated in place. A picture is checked when it
is written, not by a constraint, which would refuse sales of products whose old address never worked.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    """
    CREATE FUNCTION shop.words_of(sku text, name text, description text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT to_tsvector('pg_catalog.simple'::regconfig, name || ' ' || sku || ' ' || description)
    $$
    """,
    "CREATE INDEX products_words ON shop.products USING gin (shop.words_of(sku, name, description))",
    "CREATE INDEX products_in_order ON shop.products (position, sku)",
    """
    CREATE FUNCTION shop.guard_picture() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.image !~ '^(/[^/]|https://[a-z0-9.-]+(:[0-9]{1,5})?(/|$)|$)' THEN
            RAISE EXCEPTION 'product %: a picture is a path of this site (/x) or an address that begins with https:// '
                'and a host in lower case, not %', NEW.sku, NEW.image USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER guard_picture BEFORE INSERT OR UPDATE OF image ON shop.products
        FOR EACH ROW EXECUTE FUNCTION shop.guard_picture()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER guard_picture ON shop.products")
    op.execute("DROP FUNCTION shop.guard_picture()")
    op.execute("DROP INDEX shop.products_in_order, shop.products_words")
    op.execute("DROP FUNCTION shop.words_of(text, text, text)")
