-- What the application does to destroy one dossier (`dependent: :destroy`): one transaction, children first.
-- Wants `dossier`, the id; `reason`, which the application notes; `due`, the time (seconds since 1970) before which not to begin (the demo's pace).
-- RETURNING is the demo's notebook: which row went, and the digest of what it held in that moment.
select pg_sleep(greatest(0, :due - extract(epoch from clock_timestamp()))) \g /dev/null
begin;
select id from dossiers where id = :dossier for update \g /dev/null
insert into deleted_dossiers (dossier_id, reason, deleted_at)
    values (:dossier, :'reason', case :'reason' when 'user_request' then now() - interval '7 days' end);
select coalesce(array_agg(blob_id), '{}') as blobs
from (select blob_id from active_storage_attachments where record_type = 'Dossier' and record_id = :dossier
      union all
      select blob_id from champs c join active_storage_attachments on record_type = 'Champ' and record_id = c.id
      where dossier_id = :dossier) documents \gset
delete from active_storage_attachments a where blob_id = any (:'blobs')
    returning 'active_storage_attachments', id, md5(a::text);
delete from active_storage_blobs b where id = any (:'blobs') returning 'active_storage_blobs', id, md5(b::text);
delete from champs c where dossier_id = :dossier returning 'champs', id, md5(c::text);
delete from commentaires c where dossier_id = :dossier returning 'commentaires', id, md5(c::text);
delete from individuals i where dossier_id = :dossier returning 'individuals', id, md5(i::text);
delete from dossiers d where id = :dossier returning 'dossiers', id, md5(d::text);
commit;
