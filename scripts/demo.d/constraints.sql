-- Rails-like: foreign keys without ON DELETE (the application destroys the children itself), an index on
-- every reference, unique indexes where the application relies on them.

create unique index index_users_on_email on users (email);
create index index_groupe_instructeurs_on_procedure_id on groupe_instructeurs (procedure_id);
create index index_dossiers_on_user_id on dossiers (user_id);
create index index_dossiers_on_groupe_instructeur_id on dossiers (groupe_instructeur_id);
create index index_champs_on_dossier_id on champs (dossier_id);
create index index_commentaires_on_dossier_id on commentaires (dossier_id);
create unique index index_individuals_on_dossier_id on individuals (dossier_id);
create unique index index_active_storage_blobs_on_key on active_storage_blobs (key);
create index index_active_storage_attachments_on_blob_id on active_storage_attachments (blob_id);
create unique index index_active_storage_attachments_uniqueness
    on active_storage_attachments (record_type, record_id, name, blob_id);

alter table groupe_instructeurs add foreign key (procedure_id) references procedures;
alter table dossiers add foreign key (user_id) references users;
alter table dossiers add foreign key (groupe_instructeur_id) references groupe_instructeurs;
alter table champs add foreign key (dossier_id) references dossiers;
alter table commentaires add foreign key (dossier_id) references dossiers;
alter table active_storage_attachments add foreign key (blob_id) references active_storage_blobs;
