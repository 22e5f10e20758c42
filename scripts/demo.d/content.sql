-- What one side holds of the deleted rows. Reads "table<TAB>id" lines on standard input; writes table, id,
-- digest of the whole row, and when it was last edited. A temporary table is all it leaves, until it ends.
create temp table deleted (tbl text, id bigint);
\copy deleted from pstdin
analyze deleted;

copy (
    select * from (
        select tbl, id, md5(t::text), updated_at from deleted join dossiers t using (id) where tbl = 'dossiers'
        union all
        select tbl, id, md5(t::text), updated_at from deleted join champs t using (id) where tbl = 'champs'
        union all
        select tbl, id, md5(t::text), updated_at from deleted join commentaires t using (id) where tbl = 'commentaires'
        union all
        select tbl, id, md5(t::text), updated_at from deleted join individuals t using (id) where tbl = 'individuals'
        union all
        select tbl, id, md5(t::text), null from deleted join active_storage_attachments t using (id)
        where tbl = 'active_storage_attachments'
        union all
        select tbl, id, md5(t::text), null from deleted join active_storage_blobs t using (id)
        where tbl = 'active_storage_blobs'
    ) rows
    order by 1, 2
) to stdout;
