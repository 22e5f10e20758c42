-- References that no foreign key guards, checked by hand: how many rows of live point at nothing?
select (select count(*) from individuals i where not exists (select from dossiers d where d.id = i.dossier_id))
     + (select count(*) from active_storage_attachments a where record_type = 'Dossier'
        and not exists (select from dossiers d where d.id = a.record_id))
     + (select count(*) from active_storage_attachments a where record_type = 'Champ'
        and not exists (select from champs c where c.id = a.record_id));
