-- Somebody opens a file: the dossier, who it is about, its answers, its messages, its documents.
\set dossier random(1, :dossiers)
select d.*, i.nom, i.prenom, u.email
from dossiers d join users u on u.id = d.user_id left join individuals i on i.dossier_id = d.id
where d.id = :dossier;
select * from champs where dossier_id = :dossier order by id;
select * from commentaires where dossier_id = :dossier order by id;
select b.filename, b.byte_size from active_storage_attachments a join active_storage_blobs b on b.id = a.blob_id
where a.record_type = 'Dossier' and a.record_id = :dossier;
