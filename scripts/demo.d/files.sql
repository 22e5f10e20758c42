-- Blobs whose files the demo's store holds: those of the dossiers that victims.sql picks, and of some of their neighbours.
select b.id, b.key
from active_storage_blobs b
join active_storage_attachments a on a.blob_id = b.id
left join champs c on a.record_type = 'Champ' and c.id = a.record_id
join dossiers d on d.id = case a.record_type when 'Dossier' then a.record_id else c.dossier_id end
where hashint8(d.id) & 1023 < 50
order by 1;
