-- Somebody begins a new file, with two answers and a document.
\set user random(1, :users)
\set groupe random(1, 300)
begin;
insert into dossiers (user_id, groupe_instructeur_id, created_at, updated_at)
values (:user, :groupe, clock_timestamp(), clock_timestamp()) returning id as dossier \gset
insert into individuals (dossier_id, nom, prenom) values (:dossier, 'Nom ' || :dossier, 'Prenom');
insert into champs (dossier_id, type_de_champ_id, type, value)
values (:dossier, 1, 'Champs::TextChamp', 'First answer'), (:dossier, 2, 'Champs::IntegerNumberChamp', '42');
insert into active_storage_blobs (key, filename, content_type, byte_size)
values (gen_random_uuid()::text, 'document.pdf', 'application/pdf', 12345) returning id as blob \gset
insert into active_storage_attachments (name, record_type, record_id, blob_id)
values ('justificatif', 'Dossier', :dossier, :blob);
commit;
